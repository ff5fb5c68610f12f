"""Makes topics as the table declares them, and looks at those that are there."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._group import MemberDescription
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from plumbline_contracts.topics import MAX_MESSAGE_BYTES, Topic
from plumbline_kit.bus.kafka_client import FRAMING_BYTES
from plumbline_kit.bus.records import Partition
from plumbline_kit.errors import Unavailable

SECONDS: Final = 15.0
BROKERS_DEFAULT: Final = -1
COMPACTION_LAG: Final = timedelta(days=1)
DEAD_LETTER_RETENTION: Final = timedelta(days=90)
DEAD_LETTER_BYTES: Final = MAX_MESSAGE_BYTES + 2 * FRAMING_BYTES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as it is on the broker."""

    name: str
    partitions: int
    replication: int
    records: int
    """Offsets between the oldest and the newest record of all partitions: an upper bound of the records."""


def create_topics(
    bootstrap_servers: str,
    topics: Sequence[Topic[Any]],
    *,
    max_partitions: int | None = None,
    replication: int = 1,
) -> list[str]:
    """Create the *topics* that are not there yet; return their names. Blocks. A topic that is there stays as it is.

    Raises `Unavailable` when the broker does not do it in time. *max_partitions* is for a small machine.
    """
    new = [_new_topic(topic, max_partitions, replication) for topic in topics]
    return _create(bootstrap_servers, new)


async def create_dead_letter_topic(bootstrap_servers: str, name: str) -> None:
    """Create the dead-letter topic *name*, if it is not there yet. Raises `Unavailable`."""
    new = NewTopic(name, 1, BROKERS_DEFAULT, config=_config(DEAD_LETTER_RETENTION, DEAD_LETTER_BYTES))
    await asyncio.to_thread(_create, bootstrap_servers, [new])


def describe_topics(bootstrap_servers: str, *, prefix: str = "") -> list[TopicDescription]:
    """The topics whose name starts with *prefix*, by name. Blocks. Raises `Unavailable`."""
    client = _client(bootstrap_servers)
    try:
        names = sorted(name for name in client.list_topics(timeout=SECONDS).topics if name.startswith(prefix))
        if not names:
            return []
        found = client.describe_topics(TopicCollection(names), request_timeout=SECONDS)
        descriptions = [future.result(SECONDS) for future in found.values()]
        counts = _count(client, {description.name: len(description.partitions) for description in descriptions})
    except (KafkaException, TimeoutError) as error:
        raise Unavailable(f"Kafka at {bootstrap_servers}: {error}") from error
    return [
        TopicDescription(one.name, len(one.partitions), len(one.partitions[0].replicas), counts[one.name])
        for one in descriptions
    ]


def end_offsets(bootstrap_servers: str, topics: Collection[str]) -> dict[Partition, int]:
    """The offset after the last record of each partition, committed or not. Blocks. Raises `Unavailable`."""
    client = _client(bootstrap_servers)
    try:
        known = client.list_topics(timeout=SECONDS).topics
        if missing := set(topics) - known.keys():
            raise Unavailable(f"there is no topic {', '.join(sorted(missing))}")
        places = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's own gap
        found = _offsets(client, places, latest, IsolationLevel.READ_UNCOMMITTED)
    except (KafkaException, TimeoutError) as error:
        raise Unavailable(f"Kafka at {bootstrap_servers}: {error}") from error
    return {Partition(place.topic, place.partition): offset for place, offset in found.items()}


def has_no_partitions(bootstrap_servers: str, group: str, client_id: str) -> bool:
    """Whether the member *client_id* has joined *group* and the group needs it for nothing. Blocks; False if unsure."""
    client = _client(bootstrap_servers)
    try:
        found = client.describe_consumer_groups([group], request_timeout=SECONDS)[group]
        members = [member for member in found.result(SECONDS).members if member.client_id == client_id]
    except (KafkaException, TimeoutError):
        return False
    return bool(members) and not any(_partitions(member) for member in members)


def _partitions(member: MemberDescription) -> list[TopicPartition]:
    """What the member has, and what it is about to get."""
    assignments = [each for each in (member.assignment, member.target_assignment) if each is not None]
    return [partition for each in assignments for partition in each.topic_partitions]


def _new_topic(topic: Topic[Any], max_partitions: int | None, replication: int) -> NewTopic:
    partitions = min(topic.partitions, max_partitions or topic.partitions)
    config = _config(topic.retention, MAX_MESSAGE_BYTES + FRAMING_BYTES, compacted=topic.compacted)
    return NewTopic(topic.name, partitions, replication, config=config)


def _config(retention: timedelta | None, max_bytes: int, *, compacted: bool = False) -> dict[str, str]:
    policy = ("compact,delete" if retention else "compact") if compacted else "delete"
    milliseconds = -1 if retention is None else int(retention.total_seconds() * 1000)
    config = {"cleanup.policy": policy, "retention.ms": str(milliseconds), "max.message.bytes": str(max_bytes)}
    if compacted:  # what was deleted must not stay readable because its segment is not full yet
        config["max.compaction.lag.ms"] = str(int(COMPACTION_LAG.total_seconds() * 1000))
    return config


def _create(bootstrap_servers: str, topics: list[NewTopic]) -> list[str]:
    client = _client(bootstrap_servers)
    created = client.create_topics(topics, operation_timeout=SECONDS, request_timeout=SECONDS)
    return [name for name, future in created.items() if _is_new(name, future)]


def _is_new(name: str, creation: "Future[None]") -> bool:
    try:
        creation.result(SECONDS + 1)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise Unavailable(f"topic {name} cannot be created: {error.args[0].str()}") from error
    return True


def _count(client: AdminClient, partitions: Mapping[str, int]) -> dict[str, int]:
    places = [TopicPartition(name, number) for name, count in partitions.items() for number in range(count)]
    first = _offsets(client, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the client's own gap
    last = _offsets(client, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the client's own gap
    counts = dict.fromkeys(partitions, 0)
    for place in places:
        counts[place.topic] += last[place] - first[place]
    return counts


def _offsets(
    client: AdminClient,
    places: list[TopicPartition],
    which: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> dict[TopicPartition, int]:
    wanted = dict.fromkeys(places, which)
    found = client.list_offsets(wanted, isolation_level=isolation, request_timeout=SECONDS)
    return {place: future.result(SECONDS).offset for place, future in found.items()}


def _client(bootstrap_servers: str) -> AdminClient:
    """Hold it until its futures are done: a client's end is the end of what it has in hand."""
    return AdminClient({"bootstrap.servers": bootstrap_servers}, logger=logger)
