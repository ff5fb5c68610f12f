"""`Similarity` on the text encoder."""

from collections.abc import Sequence

import structlog

from plumbline_kit.errors import Unavailable
from plumbline_models.batching import BatchingEncoder

log = structlog.get_logger()


class EncoderSimilarity:
    """Cosines of L2-normalised vectors, encoded in worker threads."""

    def __init__(self, encoder: BatchingEncoder) -> None:
        self._encoder = encoder
        self.encoder_id = encoder.id

    async def to_each(self, text: str, others: Sequence[str]) -> list[float]:
        """See `Similarity`."""
        try:
            vectors = await self._encoder.encode([text, *others])
        except Exception as error:  # the runtime's errors have no common base
            log.error("encoder_failed", exc_info=error)
            raise Unavailable("the encoder failed") from error
        return [float(vector @ vectors[0]) for vector in vectors[1:]]
