"""The records of one partition in hand: keys side by side, each key in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from plumbline_kit.bus.offsets import ContiguousOffsets
from plumbline_kit.bus.records import Record
from plumbline_kit.clock import Clock

Attempt = Callable[[Record, int], Awaitable[float | None]]
"""Handles a record that has failed so often; None when it is finished, else the seconds to wait for the next try."""


class PartitionWork:
    """Runs the records of one partition for as long as this consumer owns it.

    Records without a key stay in order among themselves. A record that waits for its next try keeps its key
    waiting and its offset back, but takes no slot.
    """

    def __init__(
        self, attempt: Attempt, slots: asyncio.Semaphore, clock: Clock, failed: Callable[[Exception], None]
    ) -> None:
        self.bytes = 0
        """Size of the unfinished records."""
        self.on_hold = False
        """Whether no more records should be fetched for now."""
        self._attempt = attempt
        self._slots = slots
        self._clock = clock
        self._failed = failed
        self._offsets = ContiguousOffsets()
        self._lanes: dict[bytes | None, deque[Record]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling: set[asyncio.Task[None] | None] = set()
        self._closing = False
        self._stored: int | None = None

    def __len__(self) -> int:
        """Records in hand, those included that finished behind an unfinished one."""
        return len(self._offsets)

    @property
    def position(self) -> int | None:
        """The offset below which everything is handled. None before the first record."""
        return self._offsets.next

    def add(self, record: Record) -> None:
        """Take a record in hand."""
        self._offsets.add(record.offset)
        self.bytes += record.size
        if record.key in self._lanes:
            self._lanes[record.key].append(record)
            return
        self._lanes[record.key] = deque([record])
        task = asyncio.create_task(self._run_lane(record.key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def new_progress(self) -> int | None:
        """The position, if it has moved since it was last asked for."""
        position = self.position
        if position == self._stored or (self._stored is None and position == self._offsets.first):
            return None
        self._stored = position
        return position

    async def settle(self, seconds: float) -> None:
        """Start nothing more, wait for the handlers that run, cancel what still runs after *seconds*."""
        self._closing = True
        for task in self._tasks - self._handling:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run_lane(self, key: bytes | None) -> None:
        lane = self._lanes[key]
        try:
            while lane and not self._closing and await self._finish(lane[0]):
                lane.popleft()
        except Exception as error:
            self._failed(error)
            return
        if not lane:
            del self._lanes[key]

    async def _finish(self, record: Record) -> bool:
        failures = 0
        while (wait := await self._try(record, failures)) is not None:
            if self._closing:
                return False
            failures += 1
            await self._clock.sleep(wait)
        self._offsets.finish(record.offset)
        self.bytes -= record.size
        return True

    async def _try(self, record: Record, failures: int) -> float | None:
        task = asyncio.current_task()
        async with self._slots:
            self._handling.add(task)
            try:
                return await self._attempt(record, failures)
            finally:
                self._handling.discard(task)
