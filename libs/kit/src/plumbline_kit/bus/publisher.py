"""Publishes facts on Kafka and waits until they are durable."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from google.protobuf.message import Message as Body

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.headers import ID, as_bytes, event_headers
from plumbline_kit.bus.kafka_client import failure, producer_settings
from plumbline_kit.bus.kafka_transactions import KafkaTransactions
from plumbline_kit.bus.messages import Position
from plumbline_kit.bus.records import Headers, check_size
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.kafka import placed, sending

M = TypeVar("M", bound=Body)

POLL_SECONDS: Final = 0.1
ROOM_SECONDS: Final = 0.02

logger = logging.getLogger(__name__)


class KafkaPublisher:
    """A `Publisher` on Kafka: idempotent, acknowledged by all in-sync replicas. One for a process is enough.

    Records of one key stay in order when each `publish` is awaited before the next. A record that was not
    acknowledged in time may still arrive: publish it again with the same event id.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        source: str,
        clock: Clock,
        ack_seconds: float = 10.0,
        linger_ms: float = 0,
        queue_messages: int = 100_000,
    ) -> None:
        """*source* names this service in the events. *queue_messages* is how many may wait before `publish` does."""
        self.source = source
        self._clock = clock
        self._ack_seconds = ack_seconds
        self._settings = producer_settings(bootstrap_servers, ack_seconds) | {"client.id": source}
        own = {"linger.ms": linger_ms, "queue.buffering.max.messages": queue_messages}
        self._producer = Producer(self._settings | own, logger=logger)
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name=f"kafka-publisher-{source}", daemon=True)
        self._poller.start()
        self._room = asyncio.Event()

    async def publish(self, topic: Topic[M], key: str, body: M | None, *, event_id: str | None = None) -> Position:
        """See `Publisher`. Waits when too many records are on their way."""
        headers = event_headers(topic, key=key, source=self.source, time=self._clock.now(), event_id=event_id)
        value = None if body is None else body.SerializeToString()
        check_size(key, value)
        return await self.append(topic.name, key.encode(), value, as_bytes(headers))

    async def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Position:
        """See `Appender`. Raises `Invalid` for a record that is too large for the topic."""
        trace: dict[str, str] = {}
        with sending(topic, trace, _attributes(key, headers)) as span:
            own = tuple(header for header in headers if header[0] not in trace)
            position = await self._deliver(topic, key, value, (*own, *as_bytes(trace)))
            span.set_attributes(placed(position.partition, position.offset))
            return position

    def transactions(self, name: str) -> KafkaTransactions:
        """A writer of its own, apart from `publish`; see `Transactions`."""
        return KafkaTransactions(self._settings, name, self._ack_seconds)

    async def flush(self, seconds: float) -> None:
        """Wait until nothing is on its way any more, at most *seconds*."""
        await asyncio.to_thread(self._producer.flush, seconds)

    async def close(self) -> None:
        """Stop; what is still on its way is given up. Flush first."""
        self._closed.set()
        await asyncio.to_thread(self._poller.join)

    async def _deliver(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Position:
        delivery: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._ack_seconds):
                await self._enqueue(topic, key, value, headers, _resolver(delivery, self._room))
                return await delivery
        except TimeoutError as error:
            raise Unavailable(f"{topic}: not acknowledged within {self._ack_seconds:g} s") from error
        except KafkaException as error:
            raise failure(topic, error.args[0]) from error

    async def _enqueue(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None:
        while True:
            try:
                return self._producer.produce(topic, value, key, headers=list(headers), on_delivery=on_delivery)
            except BufferError:
                self._room.clear()
            # A delivery is reported a moment before its place in the queue is free: look again without being told.
            with suppress(TimeoutError):
                async with asyncio.timeout(ROOM_SECONDS):
                    await self._room.wait()

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(POLL_SECONDS)


def _resolver(delivery: asyncio.Future[Position], room: asyncio.Event) -> Callable[[KafkaError | None, Message], None]:
    """What the poll thread calls: hands the outcome over to the event loop."""
    loop = asyncio.get_running_loop()

    def resolve(error: KafkaError | None, topic: str, position: Position) -> None:
        room.set()
        if delivery.done():  # timed out or cancelled: nobody waits any more
            return
        if error is None:
            delivery.set_result(position)
        else:
            delivery.set_exception(failure(topic, error))

    def delivered(error: KafkaError | None, message: Message) -> None:
        position = Position(message.partition() or 0, message.offset() or 0)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(resolve, error, message.topic() or "", position)

    return delivered


def _attributes(key: bytes | None, headers: Headers) -> dict[str, str]:
    return {
        names.MESSAGING_MESSAGE_ID: (dict(headers).get(ID) or b"").decode("utf-8", "backslashreplace"),
        names.MESSAGING_KEY: (key or b"").decode("utf-8", "backslashreplace"),
    }
