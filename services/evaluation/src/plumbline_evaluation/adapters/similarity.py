"""`Similarity` on the text encoder."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from plumbline_kit.errors import Unavailable
from plumbline_models.encoder import Vectors
from plumbline_models.threaded import ThreadedEncoder

log = structlog.get_logger()

REMEMBERED_TEXTS: Final = 4096
"""Answers rest on the same passages again and again; a vector takes 1.5 KB."""


class EncoderSimilarity:
    """Cosines of L2-normalised vectors, encoded in worker threads."""

    def __init__(self, encoder: ThreadedEncoder) -> None:
        self._encoder = encoder
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self.encoder_id = encoder.id

    async def to_each(self, text: str, others: Sequence[str]) -> list[float]:
        """See `Similarity`."""
        try:
            vectors = await self._vectors([text, *others])
        except Exception as error:  # the runtime's errors have no common base
            log.error("encoder_failed", exc_info=error)
            raise Unavailable("the encoder failed") from error
        return [float(vector @ vectors[0]) for vector in vectors[1:]]

    async def _vectors(self, texts: Sequence[str]) -> list[Vectors]:
        known = {text: self._known[text] for text in texts if text in self._known}
        unknown = [text for text in dict.fromkeys(texts) if text not in known]
        known |= dict(zip(unknown, await self._encoder.encode(unknown), strict=True))
        for text in known:
            self._known[text] = known[text]
            self._known.move_to_end(text)
        while len(self._known) > REMEMBERED_TEXTS:
            self._known.popitem(last=False)
        return [known[text] for text in texts]
