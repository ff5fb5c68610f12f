"""Runs a consumer over a source of records: takes them in hand, bounds what it holds, remembers what is finished."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import structlog

from plumbline_kit.bus.dead_letters import DeadLetters
from plumbline_kit.bus.messages import Subscription
from plumbline_kit.bus.processor import Processor
from plumbline_kit.bus.progress import PartitionProgress
from plumbline_kit.bus.records import Partition
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.bus.source import Batch, Source
from plumbline_kit.bus.work import PartitionWork
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.telemetry.kafka import record_lag

log = structlog.get_logger()

RELEASE_SECONDS: Final = 10.0
LAG_SECONDS: Final = 1.0
RECORDS_IN_HAND: Final = 4_000
BYTES_IN_HAND: Final = 64_000_000
LEAST_SHARE: Final = 32
"""Records that a partition may always have in hand, so that its keys can run side by side."""


class Runner:
    """A consumer: `run` once, until `stop`. What handlers may raise, and what follows, says `Subscription`."""

    def __init__(
        self,
        source: Source,
        *,
        group: str,
        subscriptions: Sequence[Subscription[Any]],
        dead_letters: DeadLetters,
        clock: Clock,
        concurrency: int,
        drain_seconds: float,
        backoff: Backoff,
    ) -> None:
        self._source = source
        self._group = group
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._processor = Processor(group, subscriptions, dead_letters, backoff)
        self._slots = asyncio.Semaphore(concurrency)
        self._work: dict[Partition, PartitionWork] = {}
        self._progress: dict[Partition, PartitionProgress] = {}
        self._assigned = False
        self._stopping = False
        self._failure: Exception | None = None
        self._caught_up = asyncio.Event()
        self._finished = asyncio.Event()
        self._started = False
        self._next_lag = 0.0

    async def run(self) -> None:
        """Handle records until `stop`. Raises what a handler raised by mistake, and `TooManyInvalid`.

        A log that is away is waited for, as long as it takes.
        """
        self._started = True
        try:
            await self._source.open(self)
            while not self._stopping and self._failure is None:
                self._take(await self._source.poll(self._new_progress(), self._on_hold(), highs=self._lag_is_due()))
        finally:
            await self._leave()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """Let the running handlers finish (what has not begun comes again elsewhere), commit, leave the group."""
        self._stopping = True
        if self._started:
            await self._finished.wait()

    async def caught_up(self) -> None:
        """Return once every record that the partitions held when they came to this consumer has been handled.

        Topics without records, and a consumer that is given no partitions, count as caught up. Raises `Unavailable`
        when the consumer stops before.
        """
        waits = [asyncio.ensure_future(event.wait()) for event in (self._caught_up, self._finished)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._caught_up.is_set():
            raise Unavailable(f"consumer {self._group} stopped before it had caught up")

    def lag(self) -> int:
        """Records in this consumer's partitions that are not yet handled, as of the last second."""
        return sum(
            progress.lag(self._work[partition].position, len(self._work[partition]))
            for partition, progress in self._progress.items()
        )

    def in_hand(self) -> int:
        """Records fetched and not yet committable."""
        return sum(len(work) for work in self._work.values())

    async def gained(self, partitions: Collection[Partition]) -> None:
        """See `Ownership`."""
        self._assigned = True
        for partition in partitions:
            self._work[partition] = PartitionWork(self._processor.attempt, self._slots, self._clock, self._fail)
            self._progress[partition] = PartitionProgress()
        log.info("partitions_gained", group=self._group, count=len(partitions))

    async def released(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """See `Ownership`. Handlers that run are waited for, then cancelled: their records come again elsewhere."""
        gone = self._forget(partitions)
        await asyncio.gather(*(work.settle(RELEASE_SECONDS) for work in gone.values()))
        log.info("partitions_released", group=self._group, count=len(partitions))
        return _positions(gone)

    async def lost(self, partitions: Collection[Partition]) -> None:
        """See `Ownership`."""
        gone = self._forget(partitions)
        await asyncio.gather(*(work.settle(0) for work in gone.values()))
        log.warning("partitions_lost", group=self._group, count=len(partitions))

    def _forget(self, partitions: Collection[Partition]) -> dict[Partition, PartitionWork]:
        for partition in partitions:
            self._progress.pop(partition, None)
        return {partition: self._work.pop(partition) for partition in partitions if partition in self._work}

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error

    def _take(self, batch: Batch) -> None:
        for record in batch.records:
            if (work := self._work.get(record.partition)) is not None:
                work.add(record)
        for partition, high in batch.highs.items():
            if (progress := self._progress.get(partition)) is not None:
                progress.observe(high)
        for partition, end in batch.ends.items():
            if (progress := self._progress.get(partition)) is not None:
                progress.reached(end)
        self._look_whether_caught_up()

    def _look_whether_caught_up(self) -> None:
        if (
            self._assigned
            and not self._caught_up.is_set()
            and all(
                progress.caught_up(self._work[partition].position, len(self._work[partition]))
                for partition, progress in self._progress.items()
            )
        ):
            self._caught_up.set()

    def _new_progress(self) -> dict[Partition, int]:
        moved = {partition: work.new_progress() for partition, work in self._work.items()}
        return {partition: position for partition, position in moved.items() if position is not None}

    def _on_hold(self) -> set[Partition]:
        """The partitions of which there is enough in hand: above its share, until it is down to half of that."""
        records = max(LEAST_SHARE, RECORDS_IN_HAND // max(1, len(self._work)))
        size = BYTES_IN_HAND // max(1, len(self._work))
        for work in self._work.values():
            part = 0.5 if work.on_hold else 1.0
            work.on_hold = len(work) > records * part or work.bytes > size * part
        return {partition for partition, work in self._work.items() if work.on_hold}

    def _lag_is_due(self) -> bool:
        now = self._clock.monotonic()
        if now < self._next_lag:
            return False
        self._next_lag = now + LAG_SECONDS
        record_lag(self._group, self.lag())
        return True

    async def _leave(self) -> None:
        works = dict(self._work)
        try:
            await asyncio.gather(*(work.settle(self._drain_seconds) for work in works.values()))
            await self._source.close(_positions(works))
        finally:
            self._finished.set()


def _positions(works: Mapping[Partition, PartitionWork]) -> dict[Partition, int]:
    moved = {partition: work.new_progress() for partition, work in works.items()}
    return {partition: position for partition, position in moved.items() if position is not None}
