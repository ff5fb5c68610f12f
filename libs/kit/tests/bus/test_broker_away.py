"""A broker that stands still or dies, one of its own for these tests."""

import asyncio
import signal
import time
import uuid

import pytest
from psycopg_pool import AsyncConnectionPool

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_contracts.topics import Topic
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Subscription, create_topics
from plumbline_kit.bus.outbox import SCHEMA, Outbox, OutboxRelay
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import eventually
from plumbline_local.layout import Layout
from plumbline_local.supervisor import Supervisor

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
async def broker(tmp_path_factory):
    async with Supervisor(Layout.temporary(tmp_path_factory.mktemp("away"))) as supervisor:
        await supervisor.start({"kafka"})
        yield supervisor


@pytest.fixture
def servers(broker):
    return broker.layout.address("kafka")


@pytest.fixture
async def topic(servers):
    topic = Topic(f"test.{uuid.uuid4().hex[:8]}.v1", DocumentChanged, "tenant/document", 2)
    await asyncio.to_thread(create_topics, servers, [topic])
    return topic


@pytest.fixture
async def publisher(servers):
    publisher = KafkaPublisher(servers, source="test", clock=SystemClock(), ack_seconds=2, queue_messages=20)
    yield publisher
    await publisher.close()


@pytest.fixture
async def consumer(servers, topic, publisher):
    """A running consumer; what it heard is its attribute `keys`."""
    keys = []

    async def hear(record):
        keys.append(record.key)

    consumer = KafkaConsumer(
        servers, group="g", subscriptions=[Subscription(topic, hear)], dead_letters=publisher, clock=SystemClock()
    )
    consumer.keys = keys
    running = asyncio.create_task(consumer.run())
    yield consumer
    await consumer.stop()
    await running


async def publish_until_it_works(publisher, topic, key):
    async def attempt():
        try:
            return await publisher.publish(topic, key, DocumentChanged())
        except Unavailable:
            return None

    await eventually(attempt, seconds=60)


async def test_publishing_to_a_broker_that_stands_still_fails_in_time_and_works_again_later(
    broker, topic, publisher, consumer
):
    await publish_until_it_works(publisher, topic, "before")
    broker.kill("kafka", signal.SIGSTOP)
    try:
        began = time.monotonic()
        outcomes = await asyncio.gather(
            *(publisher.publish(topic, "lost", DocumentChanged()) for _ in range(60)), return_exceptions=True
        )
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert 1.5 < time.monotonic() - began < 4
    finally:
        broker.kill("kafka", signal.SIGCONT)
    await publish_until_it_works(publisher, topic, "after")
    await eventually(lambda: "after" in consumer.keys, seconds=30)


async def test_a_consumer_outlives_a_broker_that_is_killed(broker, topic, publisher, consumer):
    await publish_until_it_works(publisher, topic, "before")
    await eventually(lambda: "before" in consumer.keys)
    broker.kill("kafka")
    await broker.wait_healthy("kafka")
    await publish_until_it_works(publisher, topic, "after")
    await eventually(lambda: "after" in consumer.keys, seconds=60)


async def test_a_consumer_stops_in_time_while_the_broker_stands_still(broker, servers, topic, publisher):
    consumer = KafkaConsumer(
        servers,
        group="other",
        subscriptions=[Subscription(topic, _ignore)],
        dead_letters=publisher,
        clock=SystemClock(),
    )
    running = asyncio.create_task(consumer.run())
    await consumer.caught_up()
    broker.kill("kafka", signal.SIGSTOP)
    try:
        async with asyncio.timeout(25):
            await consumer.stop()
        await running
    finally:
        broker.kill("kafka", signal.SIGCONT)


async def _ignore(record):
    pass


async def test_a_relay_outlives_a_broker_that_is_killed_and_publishes_each_event_once(
    broker, database, topic, publisher, consumer
):
    async with AsyncConnectionPool(database, min_size=1, max_size=4) as pool:
        async with pool.connection() as connection:
            await connection.execute(SCHEMA)
        relay = OutboxRelay(pool, publisher, [topic], SystemClock())
        running = asyncio.create_task(relay.run())
        for number in range(200):
            async with pool.connection() as connection:
                await Outbox.add(connection, topic, f"k{number}", DocumentChanged(), event_id=f"e-{number}")
            if number == 100:
                broker.kill("kafka")
        await eventually(lambda: len(consumer.keys) >= 200, seconds=90)
        await relay.stop()
        await running
    assert sorted(consumer.keys) == sorted(f"k{number}" for number in range(200))
