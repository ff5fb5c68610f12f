"""What only a real broker can show: groups, partitions, transactions, topics."""

import asyncio
import time
import uuid
from collections import Counter

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, ResourceType

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_contracts.topics import DOCUMENT_SUBMITTED, Topic
from plumbline_kit.bus import KafkaPublisher, Subscription, create_topics, describe_topics, kafka_source
from plumbline_kit.bus.transactions import Outgoing
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import eventually

pytestmark = pytest.mark.parametrize("servers", ["kafka"], indirect=True)

JAVA_HASHES = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
}
"""From the tests of Kafka's own murmur2."""


@pytest.mark.parametrize(("key", "value"), JAVA_HASHES.items())
async def test_a_key_has_the_partition_that_javas_clients_give_it(bus, topic, key, value):
    position = await bus.publisher.publish(topic, key, DocumentChanged())
    assert position.partition == (value & 0x7FFFFFFF) % topic.partitions


async def test_two_consumers_of_a_group_share_the_partitions_and_nothing_comes_twice(publish, start):
    async def handle(record):
        await asyncio.sleep(0.02)

    first = start(handle, concurrency=4)
    await publish(*[f"k{n}" for n in range(150)])
    await first.hears(20)
    second = start(handle, concurrency=4)
    await publish(*[f"k{n}" for n in range(150, 300)])
    await eventually(lambda: len(first.heard) + len(second.heard) >= 300, seconds=30)
    await first.stop()
    await second.stop()
    assert Counter(first.keys + second.keys) == Counter([f"k{n}" for n in range(300)])
    assert second.keys


async def test_a_leaving_consumer_hands_its_partitions_over(publish, start):
    first, second = start(), start()
    await publish(*[f"k{n}" for n in range(40)])
    await eventually(lambda: len(first.heard) + len(second.heard) == 40, seconds=20)
    await first.stop()
    await publish(*[f"later{n}" for n in range(40)])
    await eventually(lambda: sum(key.startswith("later") for key in second.keys) == 40, seconds=20)


async def test_the_successor_of_a_lone_consumer_goes_on_at_once_where_that_one_was(publish, start, servers, topic):
    first = start(alone=True, group="lone")
    await publish(*[f"k{n}" for n in range(40)])
    await first.hears(40)
    await eventually(lambda: committed(servers, "lone", topic) == 40, seconds=5)
    await publish(*[f"later{n}" for n in range(40)])
    second, started = start(alone=True, group="lone"), time.monotonic()  # the broker knows nothing of the first's end
    await second.hears(40)
    assert time.monotonic() - started < 2  # a member of a group would be missed after 3 s here
    assert all(key.startswith("later") for key in second.keys)


async def test_a_lone_consumer_waits_for_a_topic_and_finds_new_partitions(bus, servers, start, monkeypatch):
    monkeypatch.setattr(kafka_source, "GROWTH_SECONDS", 0.1)
    late = Topic(f"test.{uuid.uuid4().hex[:8]}.v1", DocumentChanged, "k", 1)
    heard = []

    async def hear(record):
        heard.append(record.position.partition)

    lone = start(alone=True, group="late", subscriptions=[Subscription(late, hear)])
    await bus.make(late)
    await bus.publisher.publish(late, "k", DocumentChanged())
    await eventually(lambda: heard == [0], seconds=10)
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_partitions([NewPartitions(late.name, 3)]).values():
        future.result(10)
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(late.name, b"", partition=2)
    producer.flush(10)
    await eventually(lambda: heard == [0, 2], seconds=10)
    await lone.stop()


def committed(servers, group, topic):
    """How many records of *topic* the group has finished."""
    reader = Consumer({"bootstrap.servers": servers, "group.id": group})
    places = reader.committed([TopicPartition(topic.name, number) for number in range(topic.partitions)], timeout=10)
    reader.close()
    return sum(max(place.offset, 0) for place in places)


async def test_a_member_without_partitions_is_caught_up(bus, topic, start):
    members = [start() for _ in range(topic.partitions + 1)]
    async with asyncio.timeout(15):
        await asyncio.gather(*(member.consumer.caught_up() for member in members))


async def test_a_record_of_a_producer_that_knows_nothing_of_us_is_handled(servers, topic, start):
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic.name, DocumentChanged(document_id="7").SerializeToString(), headers={"odd": b"\xff"})
    assert producer.flush(10) == 0
    [record] = await start().hears(1)
    assert record.event_id == f"{topic.name}/{record.position.partition}/{record.position.offset}"
    assert (record.key, record.body.document_id, record.headers["odd"]) == ("", "7", "\\xff")


async def test_many_publications_at_once_wait_for_room_in_a_small_queue(servers, topic):
    publisher = KafkaPublisher(servers, source="test", clock=SystemClock(), queue_messages=5)
    positions = await asyncio.gather(*(publisher.publish(topic, f"k{n}", DocumentChanged()) for n in range(300)))
    await publisher.close()
    assert len(set(positions)) == 300


async def test_a_cancelled_publication_disturbs_nobody(bus, topic):
    cancelled = asyncio.create_task(bus.publisher.publish(topic, "k", DocumentChanged()))
    await asyncio.sleep(0)
    cancelled.cancel()
    await bus.publisher.publish(topic, "k", DocumentChanged())
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_publishing_to_a_missing_topic_is_unavailable(servers):
    publisher = KafkaPublisher(servers, source="test", clock=SystemClock(), ack_seconds=1)
    with pytest.raises(Unavailable):
        await publisher.publish(Topic("test.missing.v1", DocumentChanged, "k", 1), "k", DocumentChanged())
    await publisher.close()


async def test_a_topic_that_ends_in_transaction_markers_is_caught_up_without_lag(bus, topic, start):
    transactions = bus.publisher.transactions(topic.name)
    await transactions.open()
    await transactions.send([Outgoing(topic.name, b"k", b"", ())])
    await transactions.close()
    running = start()
    await running.consumer.caught_up()
    assert len(running.heard) == 1
    await eventually(lambda: running.consumer.lag() == 0)


async def test_a_successor_shuts_its_predecessor_out(bus, topic):
    first, second = bus.publisher.transactions(topic.name), bus.publisher.transactions(topic.name)
    await first.open()
    await first.send([Outgoing(topic.name, b"k", b"", (("ce_id", b"one"),))])
    await second.open()
    with pytest.raises(Unavailable):
        await first.send([Outgoing(topic.name, b"k", b"", (("ce_id", b"two"),))])
    assert await second.event_ids([topic.name], {}) == {(topic.name, "one")}
    await first.close()
    await second.close()


async def test_topics_are_made_as_declared_and_only_once(servers):
    topic = Topic("test.declared.v1", DocumentChanged, "k", 64, retention=None, compacted=True)
    assert await asyncio.to_thread(create_topics, servers, [topic], max_partitions=3) == [topic.name]
    assert await asyncio.to_thread(create_topics, servers, [topic], max_partitions=3) == []
    [found] = await asyncio.to_thread(lambda: describe_topics(servers, prefix="test.declared"))
    assert (found.name, found.partitions, found.replication, found.records) == (topic.name, 3, 1, 0)
    config = await asyncio.to_thread(topic_config, servers, topic.name)
    assert (config["cleanup.policy"], config["retention.ms"]) == ("compact", "-1")
    assert int(config["max.message.bytes"]) > 4_000_000


async def test_the_largest_record_that_is_accepted_fits_through(servers, start, bus, topic):
    largest = DocumentChanged(document_id="x" * 3_999_980)
    await bus.publisher.publish(topic, "acme/1", largest)
    [record] = await start().hears(1)
    assert record.body == largest
    assert DOCUMENT_SUBMITTED.compacted


async def test_records_in_hand_are_bounded(publish, bus, topic, start, monkeypatch):
    monkeypatch.setattr("plumbline_kit.bus.runner.RECORDS_IN_HAND", 20)
    monkeypatch.setattr("plumbline_kit.bus.runner.LEAST_SHARE", 5)
    monkeypatch.setattr("plumbline_kit.bus.kafka_source.BATCH_RECORDS", 5)
    most = 0

    async def handle(record):
        nonlocal most
        most = max(most, running.consumer.in_hand())
        await asyncio.sleep(0.002)

    await publish(*[f"k{n}" for n in range(300)])
    running = start(handle)
    await running.hears(300)
    assert most <= 40


def topic_config(servers, name):
    client = AdminClient({"bootstrap.servers": servers})
    [future] = client.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    return {key: entry.value for key, entry in future.result(10).items()}
