"""`QuestionEncoder` on the encoder in a thread of its own, which remembers what it was asked last."""

from plumbline_cache.domain.entry import Vector
from plumbline_models import RememberingEncoder


class EncodedQuestions:
    """Questions one after the other, beside the event loop."""

    def __init__(self, encoder: RememberingEncoder) -> None:
        self._encoder = encoder

    async def encode(self, question: str) -> Vector:
        """See `QuestionEncoder`."""
        return await self._encoder.encode_one(question)
