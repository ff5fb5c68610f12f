"""`QuestionEncoder` on the encoder in a thread of its own, which remembers what it was asked last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from plumbline_cache.domain.entry import Vector
from plumbline_kit.errors import Unavailable
from plumbline_models import Motion

LOOK_SECONDS: Final = 0.0065
"""How often it is looked whether the encoder works: three times within the 20 ms that a lookup mostly has for it."""
QUIET: Final = 2
"""Looks without any motion that make a standstill. One may tell that this process had no turn, and the encoder none."""
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
        self._waiting = dict[asyncio.Timeout, float]()
        self._watched = False
        self._began = now()
        self._seen, self._looked, self._quiet = encoder.motion(), self._began, 0

    async def encode(self, question: str, *, patience: float) -> Vector:
        """See `QuestionEncoder`."""
        if not self._in_hand:
            self._began = self._looked = self._now()
            self._quiet = 0
        self._look()
        if self._is_stuck(patience):
            raise _stuck()
        encoding = asyncio.ensure_future(self._encoder.encode_one(question))
        await asyncio.wait({encoding}, timeout=0)
        if encoding.done():  # it was remembered, which says nothing of the encoder
            return encoding.result()
        self._in_hand.add(encoding)
        encoding.add_done_callback(self._finished)
        return await self._wait(encoding, patience)

    async def _wait(self, encoding: asyncio.Future[Vector], patience: float) -> Vector:
        try:
            async with asyncio.timeout(None) as limit:
                self._waiting[limit] = patience
                if not self._watched:
                    self._watch_on()
                try:
                    return await asyncio.shield(encoding)
                finally:
                    del self._waiting[limit]
        except TimeoutError:
            raise _stuck() from None

    def _watch(self) -> None:
        """For all who wait: of many in flight each would look at each other's turn."""
        self._look()
        for limit, patience in self._waiting.items():
            if self._is_stuck(patience) and not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        self._watched = False
        if self._waiting:
            self._watch_on()

    def _watch_on(self) -> None:
        self._watched = True
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._watch)

    def _is_stuck(self, patience: float) -> bool:
        is_slow = self._seen.worked_seconds >= SLOW * patience
        since = max(self._began, self._seen.finished)
        return self._now() >= since + patience and (is_slow or self._quiet >= QUIET)

    def _look(self) -> None:
        now, motion = self._now(), self._encoder.motion()
        if motion != self._seen:
            self._seen, self._looked, self._quiet = motion, now, 0
        elif now >= self._looked + LOOK_SECONDS:
            self._looked, self._quiet = now, self._quiet + 1

    def _finished(self, encoding: "asyncio.Future[Vector]") -> None:
        self._in_hand.discard(encoding)
        if not encoding.cancelled():
            encoding.exception()  # nobody may be waiting for it any more


def _stuck() -> Unavailable:
    return Unavailable("the encoder has finished nothing for too long", retry_after=1.0)
