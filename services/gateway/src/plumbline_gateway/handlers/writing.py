"""Answers while they are written: each once, for everybody who asks the same meanwhile.

Writing goes on in a task of its own for as long as anybody reads. A reader that leaves, whoever began included, ends it
only if it was the last. Whoever comes late has what was written so far at once, and then goes on with the others.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import Final

from plumbline_gateway.domain import Claim, Generated, Passage
from plumbline_gateway.handlers.slots import Slots
from plumbline_kit.errors import DeadlineExceeded, Unavailable

Piece = tuple[Passage, ...] | str | Claim | Generated
"""What was found, then text and claims in their order, then the finished answer."""

MOST_CHARACTERS: Final = 100_000
"""Nobody joins an answer of more text than this: it would all be told again."""


class Writing:
    """One answer. Its text is kept as long as anybody reads, once for all of them."""

    def __init__(self, answer_id: str) -> None:
        self.answer_id = answer_id
        """Under which it is generated and evaluated."""
        self.task: asyncio.Task[None] | None = None
        self._pieces: list[Piece] = []
        self._characters = 0
        self._ended: bool | Exception = False
        self._news = asyncio.Event()
        self._readers = 0
        self._abandoned = False

    @property
    def is_open(self) -> bool:
        """Whether one more may read it."""
        return not (self._ended or self._abandoned) and self._characters <= MOST_CHARACTERS

    async def write(self, pieces: AsyncGenerator[Piece, None]) -> None:
        """Take in *pieces* until they end or fail: it is told to whoever reads."""
        try:
            async for piece in pieces:
                self._add(piece)
            self._end(True)
        except asyncio.CancelledError:
            self._end(Unavailable("the writing of this answer was stopped"))
            raise
        except Exception as error:  # it belongs to those who read, whatever it is
            self._end(error)
        finally:
            await pieces.aclose()

    async def found(self, left: Callable[[], float | None]) -> tuple[Passage, ...]:
        """What it rests on, once it was searched for; nothing if it ended before. Raises `DeadlineExceeded`."""
        while not (self._pieces or self._ended):
            await self._more(left())
        first = self._pieces[0] if self._pieces else ()
        return first if isinstance(first, tuple) else ()

    async def read(self, left: Callable[[], float | None]) -> AsyncGenerator[Piece, None]:
        """What was written and what will be; text that is there already comes in one piece.

        Raises what the writing ended with, and `DeadlineExceeded` when no seconds are *left*.
        """
        self._readers += 1
        place = 0
        try:
            while True:
                while place < len(self._pieces):
                    piece, place = self._next(place)
                    yield piece
                if isinstance(self._ended, Exception):
                    raise self._ended
                if self._ended:
                    return
                await self._more(left())
        finally:
            self._readers -= 1
            await self._leave()

    def _next(self, place: int) -> tuple[Piece, int]:
        """The piece at *place*, with all text that follows at once if it is text, and the place after it."""
        end = place + 1
        if not isinstance(self._pieces[place], str):
            return self._pieces[place], end
        while end < len(self._pieces) and isinstance(self._pieces[end], str):
            end += 1
        return "".join(map(str, self._pieces[place:end])), end

    async def _more(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            raise DeadlineExceeded("the answer was not finished in the caller's time") from None

    async def _leave(self) -> None:
        """End the writing with its last reader."""
        if self._readers or self._ended or self.task is None:
            return
        self._abandoned = True
        self.task.cancel()
        await asyncio.wait({self.task})

    def _add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._characters += len(piece) if isinstance(piece, str) else 0
        self._tell()

    def _end(self, how: bool | Exception) -> None:
        self._ended = how
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Writings:
    """Those under way. Each holds one slot, however many read it."""

    def __init__(self, slots: Slots, *, outlive: Callable[[], None]) -> None:
        """*outlive* lets the task that calls it work on when the call that began it is over."""
        self._slots = slots
        self._outlive = outlive
        self._under_way: dict[Hashable, Writing] = {}

    def under_way(self, key: Hashable | None) -> Writing | None:
        """The one that was begun with *key* and may be joined; None where there is no key."""
        writing = self._under_way.get(key) if key is not None else None
        return writing if writing is not None and writing.is_open else None

    def begin(self, key: Hashable | None, answer_id: str, pieces: AsyncGenerator[Piece, None]) -> Writing:
        """Write *pieces* beside what the caller does, who has to read. Raises `Exhausted` when there is no slot."""
        self._slots.take()
        writing = Writing(answer_id)
        if key is not None:
            self._under_way[key] = writing
        writing.task = asyncio.create_task(self._write(writing, pieces))
        writing.task.add_done_callback(lambda _: self._forget(key, writing))
        return writing

    async def _write(self, writing: Writing, pieces: AsyncGenerator[Piece, None]) -> None:
        self._outlive()
        await writing.write(pieces)

    def _forget(self, key: Hashable | None, writing: Writing) -> None:
        self._slots.give_back()
        if self._under_way.get(key) is writing:
            del self._under_way[key]
