"""The bus in memory: same behaviour, nothing durable. For tests."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from plumbline_contracts.topics import MAX_MESSAGE_BYTES, Topic
from plumbline_kit.bus.dead_letters import DeadLetters
from plumbline_kit.bus.headers import as_bytes, event_headers, event_of
from plumbline_kit.bus.messages import Position, Received, Subscription
from plumbline_kit.bus.records import Headers, Partition, Record
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.bus.runner import Runner
from plumbline_kit.bus.source import Batch, Ownership
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry.kafka import sending

M = TypeVar("M", bound=Message)

POLL_SECONDS: Final = 0.02
BATCH_RECORDS: Final = 100


class MemoryBus:
    """A publisher and the consumers of what it published. A group has one running consumer at most."""

    def __init__(self, *, partitions: int = 1, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._partitions = partitions
        self._logs: dict[Partition, list[Record]] = defaultdict(list)
        self._offsets: dict[tuple[str, Partition], int] = {}
        self._changed = asyncio.Event()

    async def publish(self, topic: Topic[M], key: str, body: M | None, *, event_id: str | None = None) -> Position:
        """See `Publisher`."""
        headers = event_headers(topic, key=key, source="memory", time=self._clock.now(), event_id=event_id)
        value = None if body is None else body.SerializeToString()
        if len(value or b"") + len(key) > MAX_MESSAGE_BYTES:
            raise Invalid(f"a record of {len(value or b'')} bytes is too large: at most {MAX_MESSAGE_BYTES}")
        return await self.append(topic.name, key.encode(), value, as_bytes(headers))

    async def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Position:
        """See `Appender`."""
        trace: dict[str, str] = {}
        with sending(topic, trace, {}):
            own = tuple(header for header in headers if header[0] not in trace)
            partition = Partition(topic, zlib.crc32(key or b"") % self._partitions)
            log = self._logs[partition]
            log.append(Record(partition, len(log), key, value, (*own, *as_bytes(trace)), self._clock.now()))
            self._changed.set()
            return log[-1].position

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
