"""A topic from its first record to where it ended when reading began, in no consumer group: nothing is committed."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from plumbline_contracts.topics import M, Topic
from plumbline_kit.bus.headers import event_of
from plumbline_kit.bus.kafka_client import consumer_settings, to_record
from plumbline_kit.bus.messages import Received
from plumbline_kit.errors import Invalid, Unavailable

T = TypeVar("T")

BATCH_RECORDS: Final = 200
POLL_SECONDS: Final = 0.2
BROKER_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class History(Protocol):
    """What was published."""

    def read(self, topic: Topic[M]) -> AsyncIterator[Received[M]]:
        """Every record, oldest first within a partition; those that are not the topic's message are left out.

        Raises `Unavailable` when the log is away at the beginning; where it goes away later, it is waited for.
        """
        ...


class KafkaHistory:
    """`History` on Kafka. The client has a thread of its own for as long as somebody reads."""

    def __init__(self, bootstrap_servers: str, *, broker_seconds: float = BROKER_SECONDS) -> None:
        group = f"history-{uuid.uuid4().hex[:12]}"  # the client wants a name; nobody joins
        self._settings = consumer_settings(bootstrap_servers, group) | {"enable.auto.commit": False}
        self._broker_seconds = broker_seconds

    async def read(self, topic: Topic[M]) -> AsyncIterator[Received[M]]:
        """See `History`."""
        thread, loop = ThreadPoolExecutor(1, thread_name_prefix="kafka-history"), asyncio.get_running_loop()

        async def call(work: Callable[..., T], *arguments: object) -> T:
            try:
                return await loop.run_in_executor(thread, work, *arguments)
            except KafkaException as error:
                raise Unavailable(f"{topic.name}: {error.args[0].str()}") from error

        reading = _Reading(Consumer(self._settings, logger=logger), topic.name, self._broker_seconds)
        try:
            await call(reading.begin)
            while reading.left:
                for message in await call(reading.batch):
                    if (received := _received(message, topic)) is not None:
                        yield received
        finally:
            thread.submit(reading.close)
            thread.shutdown(wait=False)


class _Reading:
    """One pass. All but `left` on the client's thread."""

    def __init__(self, consumer: Consumer, topic: str, broker_seconds: float) -> None:
        self._consumer = consumer
        self._topic = topic
        self._broker_seconds = broker_seconds
        self._ends: dict[int, int] = {}

    @property
    def left(self) -> bool:
        """Whether a partition has not come to its end."""
        return bool(self._ends)

    def begin(self) -> None:
        partitions = (
            self._consumer.list_topics(self._topic, timeout=self._broker_seconds).topics[self._topic].partitions
        )
        starts = []
        for number in partitions:
            place = TopicPartition(self._topic, number)
            first, end = self._consumer.get_watermark_offsets(place, timeout=self._broker_seconds)
            if first < end:
                self._ends[number] = end
                starts.append(TopicPartition(self._topic, number, first))
        self._consumer.assign(starts)

    def batch(self) -> Sequence[Message]:
        found = []
        for message in self._consumer.consume(BATCH_RECORDS, timeout=POLL_SECONDS):
            error, number, offset = message.error(), message.partition() or 0, message.offset() or 0
            if error is None and offset < self._ends.get(number, 0):
                found.append(message)
            elif error is not None and error.code() != KafkaError._PARTITION_EOF:
                logger.warning("a record could not be fetched: %s", error.str())
                continue
            if offset + 1 >= self._ends.get(number, 0) or error is not None:  # what ends it may be a transaction's mark
                self._ends.pop(number, None)
        return found

    def close(self) -> None:
        self._consumer.close()


def _received(message: Message, topic: Topic[M]) -> Received[M] | None:
    try:
        return event_of(to_record(message), topic)
    except Invalid:  # it lies among the dead letters of whoever consumed it
        return None
