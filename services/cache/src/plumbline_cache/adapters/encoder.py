"""`QuestionEncoder` on the encoder in threads of its own."""

from plumbline_cache.domain.entry import Vector
from plumbline_models.threaded import ThreadedEncoder


class EncodedQuestions:
    """Questions one after the other, beside the event loop."""

    def __init__(self, encoder: ThreadedEncoder) -> None:
        self._encoder = encoder

    async def encode(self, question: str) -> Vector:
        """See `QuestionEncoder`."""
        return await self._encoder.encode_one(question)
