"""`QuestionEncoder` on the encoder in a thread of its own, which remembers what it was asked last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from plumbline_cache.domain.entry import Vector
from plumbline_kit.errors import Unavailable
from plumbline_models import Motion

LOOKS: Final = 2
"""How often it is looked, within somebody's patience, whether the encoder works."""
SLOW: Final = 0.75
"""What of somebody's patience one question may take of the processor: one that has had that is no victim of others."""


class Encoder(Protocol):
    """`plumbline_models.RememberingEncoder`, or what stands for it."""

    def encode_one(self, text: str) -> Awaitable[Vector]:
        """The vector of one text."""
        ...

    def motion(self) -> Motion:
        """How it gets on."""
        ...


class EncodedQuestions:
    """Questions one after the other, beside the event loop.

    Waiting behind other questions is no fault: a miss would cost a generation, which takes longer. An encoder that has
    finished nothing for longer than somebody has patience is one: who waits is told, who comes then at once.
    Nor is a busy machine: an encoder that works and gets too little of the processor is waited for.
    A question takes 2 to 5 ms, one of 300 characters 15, and one of 2,000 and more, which is cut, 60.
    """

    def __init__(self, encoder: Encoder, *, now: Callable[[], float] = time.monotonic) -> None:
        self._encoder = encoder
        self._now = now
        self._in_hand = set[asyncio.Future[Vector]]()
        self._began = now()
        self._seen, self._seen_at = encoder.motion(), self._began

    async def encode(self, question: str, *, patience: float) -> Vector:
        """See `QuestionEncoder`."""
        if not self._in_hand:
            self._began = self._seen_at = self._now()
        self._require_motion(patience)
        encoding = asyncio.ensure_future(self._encoder.encode_one(question))
        await asyncio.wait({encoding}, timeout=0)
        if not encoding.done():  # else it was remembered, which says nothing of the encoder
            self._in_hand.add(encoding)
            encoding.add_done_callback(self._finished)
        while not encoding.done():
            self._require_motion(patience)
            await asyncio.wait({encoding}, timeout=self._until_next_look(patience))
        return encoding.result()

    def _require_motion(self, patience: float) -> None:
        now, motion = self._now(), self._encoder.motion()
        if motion != self._seen:
            self._seen, self._seen_at = motion, now
        if now < self._since() + patience:
            return
        if motion.worked_seconds >= SLOW * patience or now >= self._seen_at + patience / LOOKS:
            raise Unavailable("the encoder has finished nothing for too long", retry_after=1.0)

    def _since(self) -> float:
        """Since when it has finished nothing that it was asked for."""
        return max(self._began, self._seen.finished)

    def _until_next_look(self, patience: float) -> float:
        look = patience / LOOKS
        return min(look, max(self._since() + patience, self._seen_at + look) - self._now())

    def _finished(self, encoding: "asyncio.Future[Vector]") -> None:
        self._in_hand.discard(encoding)
        if not encoding.cancelled():
            encoding.exception()  # nobody may be waiting for it any more
