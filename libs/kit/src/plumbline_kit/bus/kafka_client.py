"""How the Kafka clients here are set, and how their words become ours."""

from datetime import UTC, datetime
from typing import Any, Final, cast

from confluent_kafka import KafkaError, Message

from plumbline_contracts.topics import MAX_MESSAGE_BYTES
from plumbline_kit.bus.records import Partition, Record
from plumbline_kit.errors import Invalid, Unavailable

FRAMING_BYTES: Final = 65_536
"""Room above `MAX_MESSAGE_BYTES` for headers and the record's frame; a dead letter needs it twice."""


def producer_settings(bootstrap_servers: str, ack_seconds: float) -> dict[str, Any]:
    """What every producer here is set to."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",  # as Java's clients do: a key has one partition, whoever sends it
        "message.max.bytes": MAX_MESSAGE_BYTES + 2 * FRAMING_BYTES,
        "message.timeout.ms": max(1, int(ack_seconds * 1000)),
        "reconnect.backoff.max.ms": 1000,
    }


def consumer_settings(bootstrap_servers: str, group: str) -> dict[str, Any]:
    """What every consumer here is set to."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        "group.protocol": "consumer",  # joins in 0.2 s, the classic protocol in 3 s
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 1000,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,  # says that a partition is empty or ends in transaction markers
        "queued.min.messages": 1000,
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 20,  # by default a partition whose queue was full is not looked at for a second
        "reconnect.backoff.max.ms": 1000,
    }


def to_record(message: Message) -> Record:
    """A message without an error as a record."""
    return Record(
        partition=Partition(message.topic() or "", message.partition() or 0),
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=tuple(cast(list[tuple[str, bytes | None]], message.headers() or [])),
        time=datetime.fromtimestamp(max(0, message.timestamp()[1]) / 1000, UTC),
    )


def failure(topic: str, error: KafkaError) -> Invalid | Unavailable:
    """Kafka's error in the words of the kit."""
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE):
        return Invalid(f"{topic}: the record is too large")
    return Unavailable(f"{topic}: {error.str()}")
