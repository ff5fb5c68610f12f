"""The event log as a reader sees it: records of any topic, decoded by the topic table, in no consumer group."""

import logging
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Contract

from plumbline_cli.problems import Problem, using_kafka
from plumbline_cli.session import as_dict
from plumbline_contracts.topics import TOPICS, Topic

SECONDS: Final = 5.0
PAUSE: Final = 0.1
LEADERLESS: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
"""What a broker says of partitions that it has only just been given."""
BATCH: Final = 500
PREFIX: Final = "plumbline."
DEAD: Final = ".dlq"

SILENT: Final = logging.getLogger(__name__)
"""What the client library has to say is said again by the error that follows."""
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One record."""

    topic: str
    partition: int
    offset: int
    time: datetime
    key: str
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def body(self) -> Contract | None:
        """The fact; None for a tombstone, and for bytes that are not what the topic carries."""
        topic = topic_of(self.topic)
        if topic is None or self.value is None:
            return None
        try:
            message: Contract = topic.message.FromString(self.value)
        except DecodeError:
            return None
        return message

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        body = self.body
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "time": self.time.isoformat(),
            "key": self.key,
            "event_id": self.headers.get("ce_id", ""),
            "trace_id": trace_id(self.headers),
            "tombstone": self.value is None,
            "body": None if body is None else as_dict(body),
        }


@dataclass(frozen=True, slots=True)
class Range:
    """The offsets a partition holds: first, and one after the last."""

    first: int
    end: int


class LogReader:
    """Reads topics from where they end now, or from their beginning."""

    def __init__(self, bootstrap_servers: str, topics: Collection[str], *, from_beginning: bool = False) -> None:
        """Blocks until the places to start from are known: what is published after this is seen."""
        self._bootstrap_servers = bootstrap_servers
        with using_kafka(bootstrap_servers):
            ranges = ranges_of(bootstrap_servers, topics)
            self._consumer = Consumer(
                {
                    "bootstrap.servers": bootstrap_servers,
                    "group.id": f"plumbline-cli-{uuid.uuid4()}",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                },
                logger=SILENT,
            )
            starts = {place: span.first if from_beginning else span.end for place, span in ranges.items()}
            self._consumer.assign([TopicPartition(name, number, start) for (name, number), start in starts.items()])

    def read(self, seconds: float) -> list[Seen]:
        """The next records, oldest first within a partition; none if nothing comes within *seconds*."""
        with using_kafka(self._bootstrap_servers):
            first = self._consumer.poll(seconds)  # `consume` alone would wait for a full batch
            messages = [] if first is None else [first, *self._consumer.consume(BATCH, timeout=0)]
        return [seen(message) for message in messages if message.error() is None]

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


@contextmanager
def reading(bootstrap_servers: str, topics: Collection[str], *, from_beginning: bool = False) -> Iterator[LogReader]:
    """A `LogReader` for the time of a block."""
    reader = LogReader(bootstrap_servers, topics, from_beginning=from_beginning)
    try:
        yield reader
    finally:
        reader.close()


def seen(message: Message) -> Seen:
    """A record as the client library gives it, in plain words."""
    headers = {name: _text(value) for name, value in dict(message.headers() or ()).items()}
    return Seen(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time=datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        key=_text(message.key()),
        value=message.value(),
        headers=headers,
    )


def topic_of(name: str) -> Topic[Any] | None:
    """The topic of the table whose records, or dead letters, lie under *name*."""
    return next((topic for topic in TOPICS if name == topic.name or is_dead_letters(name, topic)), None)


def is_dead_letters(name: str, topic: Topic[Any]) -> bool:
    """Whether *name* takes dead letters of *topic*."""
    return name.startswith(f"{topic.name}.") and name.endswith(DEAD)


def find_topics(wanted: Iterable[str]) -> list[str]:
    """Names of the topics that *wanted* names in full or by a part, such as "document-changed". Raises `Problem`."""
    found = []
    for part in wanted:
        matching = [topic.name for topic in TOPICS if part in topic.name]
        if not matching:
            raise Problem(f"there is no topic {part!r}: `plumbline topics` lists them")
        found += matching
    return list(dict.fromkeys(found))


def short(topic: str) -> str:
    """The name without what all names share: "retrieval.document-changed.v1"."""
    return topic.removeprefix(PREFIX)


def trace_id(headers: Mapping[str, str]) -> str:
    """The trace that a record belongs to; empty if it names none."""
    parts = headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""


def existing_topics(bootstrap_servers: str) -> dict[str, int]:
    """Every topic that the log holds, and its number of partitions."""
    with using_kafka(bootstrap_servers):
        found = _admin(bootstrap_servers).list_topics(timeout=SECONDS).topics
    return {name: len(metadata.partitions) for name, metadata in found.items()}


def ranges_of(bootstrap_servers: str, topics: Collection[str]) -> dict[Place, Range]:
    """What each partition of *topics* holds now; nothing for a topic that does not exist yet."""
    existing = existing_topics(bootstrap_servers)
    places = [(name, number) for name in topics for number in range(existing.get(name, 0))]
    with using_kafka(bootstrap_servers):
        admin = _admin(bootstrap_servers)
        firsts = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # ships no types for it
        ends = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # ships no types for it
    return {place: Range(firsts[place], ends[place]) for place in places}


def read_all(bootstrap_servers: str, topics: Collection[str]) -> list[Seen]:
    """Every record that *topics* hold now, by time. For topics that are small by nature."""
    ranges = ranges_of(bootstrap_servers, topics)
    open_places = {place for place, span in ranges.items() if span.end > span.first}
    found: list[Seen] = []
    with reading(bootstrap_servers, topics, from_beginning=True) as reader:
        while open_places and (records := reader.read(SECONDS)):
            found += records
            for record in records:
                place = (record.topic, record.partition)
                if place in open_places and record.offset >= ranges[place].end - 1:
                    open_places.remove(place)
    return sorted(found, key=lambda record: record.time)


def _offsets(admin: AdminClient, places: Collection[Place], which: OffsetSpec) -> dict[Place, int]:
    until = time.monotonic() + SECONDS
    while True:
        try:
            return _offsets_now(admin, places, which)
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS or time.monotonic() > until:
                raise
        time.sleep(PAUSE)


def _offsets_now(admin: AdminClient, places: Collection[Place], which: OffsetSpec) -> dict[Place, int]:
    if not places:
        return {}
    futures = admin.list_offsets(
        {TopicPartition(name, number): which for name, number in places}, request_timeout=SECONDS
    )
    return {(partition.topic, partition.partition): future.result().offset for partition, future in futures.items()}


def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers}, logger=SILENT)


def _text(content: bytes | str | None) -> str:
    return content if isinstance(content, str) else (content or b"").decode("utf-8", "backslashreplace")
