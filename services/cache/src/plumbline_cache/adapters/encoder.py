"""`QuestionEncoder` on the encoder in threads of its own."""

from plumbline_cache.domain.entry import Vector
from plumbline_models.threaded import ThreadedEncoder


class EncodedQuestions:
    """Questions that come at the same time share one run of the model."""

    def __init__(self, encoder: ThreadedEncoder) -> None:
        self._encoder = encoder

    async def encode(self, question: str) -> Vector:
        """See `QuestionEncoder`."""
        return await self._encoder.encode_one(question)
