"""The bus in memory: same behaviour, nothing durable. For tests."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.dead_letters import DeadLetters
from plumbline_kit.bus.headers import as_bytes, event_headers, event_id_of, event_of
from plumbline_kit.bus.messages import Position, Received, Subscription
from plumbline_kit.bus.records import Headers, Partition, Record, check_size
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.bus.runner import Runner
from plumbline_kit.bus.source import Batch, Ownership
from plumbline_kit.bus.transactions import Outgoing
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry.kafka import sending

M = TypeVar("M", bound=Message)

POLL_SECONDS: Final = 0.02
BATCH_RECORDS: Final = 100


class MemoryBus:
    """A publisher and the consumers of what it published. A group has one running consumer at most."""

    def __init__(self, *, partitions: int = 1, clock: Clock | None = None) -> None:
        self.source = "memory"
        self._clock = clock or SystemClock()
        self._partitions = partitions
        self._logs: dict[Partition, list[Record]] = defaultdict(list)
        self._offsets: dict[tuple[str, Partition], int] = {}
        self._changed = asyncio.Event()

    async def publish(self, topic: Topic[M], key: str, body: M | None, *, event_id: str | None = None) -> Position:
        """See `Publisher`."""
        headers = event_headers(topic, key=key, source=self.source, time=self._clock.now(), event_id=event_id)
        value = None if body is None else body.SerializeToString()
        check_size(key, value)
        return await self.append(topic.name, key.encode(), value, as_bytes(headers))

    async def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Position:
        """See `Appender`."""
        trace: dict[str, str] = {}
        with sending(topic, trace, {}):
            own = tuple(header for header in headers if header[0] not in trace)
            return self.write(Outgoing(topic, key, value, (*own, *as_bytes(trace)))).position

    def consumer(
        self,
        group: str,
        subscriptions: Sequence[Subscription[Any]],
        *,
        concurrency: int = 16,
        drain_seconds: float = 20.0,
        backoff: Backoff | None = None,
    ) -> Runner:
        """A consumer of the group, to run once."""
        topics = [subscription.topic.name for subscription in subscriptions]
        return Runner(
            MemorySource(self, group, [Partition(name, n) for name in topics for n in range(self._partitions)]),
            group=group,
            subscriptions=subscriptions,
            dead_letters=DeadLetters(group, self, self._clock),
            clock=self._clock,
            concurrency=concurrency,
            drain_seconds=drain_seconds,
            backoff=backoff or Backoff(),
        )

    def records(self, topic: Topic[M]) -> list[Received[M]]:
        """What lies on *topic*, oldest first. Raises `Invalid` for a body that is not the topic's message."""
        return [event_of(record, topic) for record in self.raw_records(topic.name)]

    def raw_records(self, topic: str) -> list[Record]:
        """The same as bytes, for any topic: dead letters too."""
        logs = [self._logs.get(Partition(topic, number), []) for number in range(self._partitions)]
        return sorted((record for log in logs for record in log), key=lambda record: record.time)

    async def flush(self, seconds: float) -> None:
        """Nothing is ever on its way."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def transactions(self, name: str) -> "MemoryTransactions":
        """See `Transactions`. Nothing shuts out a predecessor: there is one process."""
        return MemoryTransactions(self)

    def write(self, outgoing: Outgoing) -> Record:
        """Put a record on the log as it is."""
        partition = Partition(outgoing.topic, zlib.crc32(outgoing.key or b"") % self._partitions)
        log, time = self._logs[partition], self._clock.now()
        log.append(Record(partition, len(log), outgoing.key, outgoing.value, outgoing.headers, time))
        self._changed.set()
        return log[-1]

    def ends(self, topic: str) -> dict[Partition, int]:
        """Offsets after the last records of *topic*."""
        partitions = [Partition(topic, number) for number in range(self._partitions)]
        return {partition: len(self._logs[partition]) for partition in partitions}

    def read(self, partition: Partition, offset: int, limit: int) -> list[Record]:
        """Records of *partition* from *offset* on."""
        return self._logs[partition][offset : offset + limit]

    def committed(self, group: str, partition: Partition) -> int:
        """Where *group* goes on."""
        return self._offsets.get((group, partition), 0)

    def commit(self, group: str, progress: Mapping[Partition, int]) -> None:
        """Remember how far *group* is."""
        self._offsets.update({(group, partition): offset for partition, offset in progress.items()})

    async def wait(self, seconds: float) -> None:
        """Return when something was published, after *seconds* at most."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


@dataclass(frozen=True)
class MemoryHistory:
    """`History` of a bus in memory."""

    bus: MemoryBus

    async def read(self, topic: Topic[M]) -> AsyncIterator[Received[M]]:
        """See `History`."""
        for record in self.bus.raw_records(topic.name):
            with suppress(Invalid):
                yield event_of(record, topic)


class MemorySource:
    """See `Source`."""

    def __init__(self, bus: MemoryBus, group: str, partitions: Sequence[Partition]) -> None:
        self._bus = bus
        self._group = group
        self._partitions = partitions
        self._next: dict[Partition, int] = {}

    async def open(self, ownership: Ownership) -> None:
        """See `Source`."""
        self._next = {partition: self._bus.committed(self._group, partition) for partition in self._partitions}
        await ownership.gained(list(self._next))

    async def poll(self, progress: Mapping[Partition, int], on_hold: Collection[Partition], *, highs: bool) -> Batch:
        """See `Source`."""
        self._bus.commit(self._group, progress)
        batch = self._read(on_hold)
        if not batch.records:
            await self._bus.wait(POLL_SECONDS)
        return batch

    async def close(self, progress: Mapping[Partition, int]) -> None:
        """See `Source`."""
        self._bus.commit(self._group, progress)

    def _read(self, on_hold: Collection[Partition]) -> Batch:
        records: list[Record] = []
        ends: dict[Partition, int] = {}
        for partition in self._next.keys() - set(on_hold):
            found = self._bus.read(partition, self._next[partition], BATCH_RECORDS)
            self._next[partition] += len(found)
            records.extend(found)
            if len(found) < BATCH_RECORDS:
                ends[partition] = self._next[partition]
        return Batch(records, ends)


class MemoryTransactions:
    """See `Transactions`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    async def open(self) -> None:
        """See `Transactions`."""

    async def ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """See `Transactions`."""
        return {partition: end for topic in topics for partition, end in self._bus.ends(topic).items()}

    async def event_ids(self, topics: Collection[str], since: Mapping[Partition, int]) -> set[tuple[str, str]]:
        """See `Transactions`."""
        return {
            (partition.topic, event_id_of(record))
            for partition, end in (await self.ends(topics)).items()
            for record in self._bus.read(partition, since.get(partition, 0), end)
        }

    async def send(self, records: Sequence[Outgoing]) -> dict[Partition, int]:
        """See `Transactions`."""
        written = [self._bus.write(outgoing) for outgoing in records]
        return {record.partition: record.offset + 1 for record in written}

    async def close(self) -> None:
        """See `Transactions`."""
