"""Records of Kafka's topics, shared with a consumer group or taken alone. The client has a thread of its own."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from plumbline_kit.bus.admin import has_no_partitions
from plumbline_kit.bus.kafka_client import consumer_settings, to_record
from plumbline_kit.bus.records import Partition, Record
from plumbline_kit.bus.source import Batch, Ownership

T = TypeVar("T")

POLL_SECONDS: Final = 0.1
HELD_POLL_SECONDS: Final = 0.01
"""While partitions are on hold: look again soon whether they may go on."""
BATCH_RECORDS: Final = 200
BATCH_BYTES: Final = 4_000_000
CLOSE_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 2.0
GROWTH_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


class KafkaSource:
    """See `Source`.

    The plain client on one thread, not AIOConsumer: that one runs each call on any thread of a pool, one hop a
    record, and a callback's calls have to find their way past its lock; here a rebalance callback simply waits
    for the event loop and then stores offsets on the thread that it is on.
    """

    def __init__(self, bootstrap_servers: str, group: str, topics: Sequence[str]) -> None:
        self._servers = bootstrap_servers
        self._group = group
        self._client_id = f"{group}-{uuid.uuid4().hex[:12]}"
        self._settings = consumer_settings(bootstrap_servers, group) | {"client.id": self._client_id}
        self._topics = list(topics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-consumer-{group}")
        self._paused: set[Partition] = set()
        self._seen: set[Partition] = set()
        self._placed = False
        self._looking: asyncio.Task[None] | None = None

    async def open(self, ownership: Ownership) -> None:
        """See `Source`."""
        self._loop = asyncio.get_running_loop()
        self._ownership = ownership
        await self._call(self._subscribe)
        self._looking = asyncio.create_task(self._look_until_placed())

    async def poll(self, progress: Mapping[Partition, int], on_hold: Collection[Partition], *, highs: bool) -> Batch:
        """See `Source`."""
        return await self._call(self._poll, progress, set(on_hold), highs)

    async def close(self, progress: Mapping[Partition, int]) -> None:
        """See `Source`."""
        if self._looking is None:  # never joined
            return
        self._looking.cancel()
        leaving = asyncio.ensure_future(self._call(self._close, progress))
        done, _ = await asyncio.wait([leaving], timeout=CLOSE_SECONDS)
        self._thread.shutdown(wait=False)
        for step in done:
            step.result()
        if not done:
            logger.warning("the consumer could not leave its group within %s s", CLOSE_SECONDS)

    async def _look_until_placed(self) -> None:
        """Nobody calls back a member for which its group has no partitions, so ask."""
        while not self._placed:
            await asyncio.sleep(LOOK_SECONDS)
            idle = await asyncio.to_thread(has_no_partitions, self._servers, self._group, self._client_id)
            if idle and not self._placed:
                self._placed = True
                await self._ownership.gained(())

    def _call(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._thread, function, *arguments)

    def _wait_for(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    # Below: on the client's thread.

    def _subscribe(self) -> None:
        self._consumer = Consumer(self._settings, logger=logger)
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._placed = True
        self._wait_for(self._ownership.gained(_named(partitions)))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._store(self._wait_for(self._ownership.released(self._left(partitions))))

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._wait_for(self._ownership.lost(self._left(partitions)))

    def _left(self, partitions: list[TopicPartition]) -> list[Partition]:
        names = _named(partitions)
        self._paused -= set(names)
        self._seen -= set(names)
        return names

    def _poll(self, progress: Mapping[Partition, int], on_hold: set[Partition], highs: bool) -> Batch:
        self._store(progress)
        self._hold(on_hold)
        records: list[Record] = []
        ends: dict[Partition, int] = {}
        fresh: set[Partition] = set()
        timeout, size = HELD_POLL_SECONDS if on_hold else POLL_SECONDS, 0
        while len(records) < BATCH_RECORDS and size < BATCH_BYTES:
            message = self._consumer.poll(timeout)
            if message is None:
                break
            timeout = 0
            partition = Partition(message.topic() or "", message.partition() or 0)
            if (error := message.error()) is None:
                record = to_record(message)
                records.append(record)
                size += record.size
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[partition] = message.offset() or 0
            else:
                _report(error)
                continue
            if partition not in self._seen:
                self._seen.add(partition)
                fresh.add(partition)
        return Batch(records, ends, self._highs(self._seen if highs else fresh))

    def _store(self, progress: Mapping[Partition, int]) -> None:
        """Leave it to the client to commit.

        With enable.auto.commit it commits what was stored every second in the background, before it gives
        partitions away and when it is closed; never for partitions that it has lost. Nothing waits for it.
        """
        for (topic, number), offset in progress.items():
            with suppress(KafkaException):  # no longer ours: the new owner's offset counts
                self._consumer.store_offsets(offsets=[TopicPartition(topic, number, offset)])

    def _hold(self, on_hold: set[Partition]) -> None:
        if fresh := on_hold - self._paused:
            self._consumer.pause([TopicPartition(*partition) for partition in fresh])
        if free := self._paused - on_hold:
            self._consumer.resume([TopicPartition(*partition) for partition in free])
        self._paused = on_hold

    def _highs(self, partitions: set[Partition]) -> dict[Partition, int]:
        found = {
            partition: self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]
            for partition in partitions
        }
        return {partition: high for partition, high in found.items() if high != OFFSET_INVALID}

    def _close(self, progress: Mapping[Partition, int]) -> None:
        self._store(progress)
        self._consumer.close()


class LoneSource(KafkaSource):
    """The only reader of its group: takes every partition at once and shares none.

    For a process that owns what it fills, as a lock on a folder says: nobody else could take over, so its successor
    need not wait until the broker misses it, which takes 45 s by Kafka's defaults. Offsets are the group's as always.
    """

    _failure: Exception | None = None

    async def poll(self, progress: Mapping[Partition, int], on_hold: Collection[Partition], *, highs: bool) -> Batch:
        """See `Source`."""
        if self._failure is not None:
            raise self._failure
        return await super().poll(progress, on_hold, highs=highs)

    async def _look_until_placed(self) -> None:
        try:
            await self._take_what_there_is()
        except Exception as error:  # told by the next poll: nobody else hears of it
            self._failure = error

    async def _take_what_there_is(self) -> None:
        """Take the partitions as soon as the broker names them, and those that are added later."""
        while True:
            known = await self._call(self._partitions)
            fresh = known - self._owned
            starts = await self._call(self._starts, fresh) if fresh else []
            if starts:
                self._owned |= fresh
                await self._ownership.gained(fresh)
                await self._call(self._consumer.incremental_assign, starts)
            self._placed = self._placed or {topic for topic, _ in self._owned} == set(self._topics)
            await asyncio.sleep(GROWTH_SECONDS if self._placed else POLL_SECONDS)

    # Below: on the client's thread.

    def _subscribe(self) -> None:
        self._consumer = Consumer(self._settings, logger=logger)
        self._owned: set[Partition] = set()

    def _partitions(self) -> set[Partition]:
        """Those of the topics that are there; a topic counts once all of it can be read."""
        try:
            topics = self._consumer.list_topics(timeout=LOOK_SECONDS).topics
        except KafkaException as error:
            logger.warning("the broker does not say what there is: %s", error)
            return set()
        there = {name: topics[name].partitions for name in self._topics if name in topics and not topics[name].error}
        return {Partition(name, number) for name, numbers in there.items() for number in numbers}

    def _starts(self, partitions: set[Partition]) -> list[TopicPartition]:
        """Where the group left off; none while its coordinator does not say, as when the broker has just started.

        Left to the client, a coordinator that is not ready at that moment is never asked again: nothing is read then.
        """
        wanted = [TopicPartition(*partition) for partition in partitions]
        try:
            known = self._consumer.committed(wanted, timeout=LOOK_SECONDS)
        except KafkaException as error:
            logger.warning("the group's coordinator does not say where to go on: %s", error)
            return []
        if any(each.error for each in known):
            return []
        return [
            TopicPartition(each.topic, each.partition, each.offset if each.offset >= 0 else OFFSET_BEGINNING)
            for each in known
        ]

    def _close(self, progress: Mapping[Partition, int]) -> None:
        if self._owned:
            super()._close(progress)
        else:
            self._consumer.close()


def _named(partitions: list[TopicPartition]) -> list[Partition]:
    return [Partition(partition.topic, partition.partition) for partition in partitions]


def _report(error: KafkaError) -> None:
    if error.fatal():
        raise KafkaException(error)
    logger.warning("%s: %s", error.name(), error.str())  # the client goes on trying
