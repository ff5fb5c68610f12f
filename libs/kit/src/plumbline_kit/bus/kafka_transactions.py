"""Kafka transactions: batches that readers of committed records see once or not at all."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from plumbline_kit.bus.admin import end_offsets
from plumbline_kit.bus.headers import event_id_of
from plumbline_kit.bus.kafka_client import failure, to_record
from plumbline_kit.bus.records import Partition
from plumbline_kit.bus.transactions import Outgoing
from plumbline_kit.errors import Unavailable

T = TypeVar("T")

STALL_SECONDS: Final = 15.0
"""Without a record or an end for so long, reading back is given up."""

logger = logging.getLogger(__name__)


class KafkaTransactions:
    """See `Transactions`. The name is Kafka's transactional.id; the client's calls block, so they have a thread."""

    def __init__(self, settings: Mapping[str, Any], transactional_id: str, ack_seconds: float) -> None:
        """*settings* are those of an idempotent producer."""
        self._ack_seconds = ack_seconds
        self._servers = str(settings["bootstrap.servers"])
        # A relay that died in the middle of a batch holds back readers until its successor comes, or this long.
        timeout = {"transaction.timeout.ms": int(ack_seconds * 1000) + 5_000}
        self._settings = {**settings, "transactional.id": transactional_id, **timeout}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-transactions")
        self._producer: Producer | None = None

    async def open(self) -> None:
        """See `Transactions`."""
        await self._call(self._open)

    async def ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """See `Transactions`."""
        return await self._call(end_offsets, self._servers, topics)

    async def event_ids(self, topics: Collection[str], since: Mapping[Partition, int]) -> set[tuple[str, str]]:
        """See `Transactions`."""
        return await self._call(self._read_back, await self.ends(topics), since)

    async def send(self, records: Sequence[Outgoing]) -> dict[Partition, int]:
        """See `Transactions`."""
        return await self._call(self._send, records)

    async def close(self) -> None:
        """See `Transactions`."""
        await self._call(self._close)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        except KafkaException as error:
            raise failure("outbox", error.args[0]) from error

    # Below: on the client's thread.

    def _open(self) -> None:
        self._producer = Producer(self._settings, logger=logger)
        self._producer.init_transactions(self._ack_seconds)

    def _send(self, records: Sequence[Outgoing]) -> dict[Partition, int]:
        assert self._producer is not None, "open comes first"
        after: dict[Partition, int] = {}

        def delivered(error: KafkaError | None, message: Message) -> None:
            # A failed one makes the commit fail.
            if error is None:
                partition = Partition(message.topic() or "", message.partition() or 0)
                after[partition] = max(after.get(partition, 0), (message.offset() or 0) + 1)

        self._producer.begin_transaction()
        for record in records:
            self._producer.produce(
                record.topic, record.value, record.key, headers=list(record.headers), on_delivery=delivered
            )
        self._producer.commit_transaction(self._ack_seconds)
        return after

    def _read_back(self, ends: Mapping[Partition, int], since: Mapping[Partition, int]) -> set[tuple[str, str]]:
        starts = {partition: _start(since.get(partition, 0), end) for partition, end in ends.items()}
        left = {partition: end for partition, end in ends.items() if starts[partition] < end}
        reader = Consumer(_reader_settings(self._servers), logger=logger)
        try:
            reader.assign([TopicPartition(*partition, starts[partition]) for partition in left])
            return {(message.topic() or "", event_id_of(to_record(message))) for message in _messages(reader, left)}
        finally:
            reader.close()

    def _close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None


def _start(since: int, end: int) -> int:
    return since if since <= end else 0  # the topic was made anew


def _messages(reader: Consumer, left: dict[Partition, int]) -> Iterable[Message]:
    """The messages below the ends that *left* names, which it crosses off."""
    while left:
        message = reader.poll(STALL_SECONDS)
        if message is None:
            raise Unavailable(f"reading back what was published stalled at {len(left)} partitions")
        if (error := message.error()) is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        partition, offset = Partition(message.topic() or "", message.partition() or 0), message.offset() or 0
        if error is None:
            yield message
        # The end comes by itself where the last offsets are markers; below ours it is another's open transaction.
        if offset + (error is None) >= left.get(partition, 0):
            left.pop(partition, None)


def _reader_settings(servers: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": servers,
        "group.id": "plumbline-outbox",  # never joined: the partitions are assigned here
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
