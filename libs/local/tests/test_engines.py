import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from plumbline_contracts.topics import TOPICS
from plumbline_local.layout import Layout
from plumbline_local.supervisor import Supervisor


@pytest.fixture
async def engines(own_layout: Layout) -> AsyncIterator[Supervisor]:
    async with Supervisor(own_layout) as supervisor:
        await supervisor.start({"kafka", "postgres"})
        yield supervisor


def write_record(servers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    producer.produce(topic, b"kept")
    assert producer.flush(10) == 0
    producer.close()


def read_record(servers: str, topic: str) -> bytes:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": str(uuid.uuid4())})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    assert message.error() is None
    return bytes(message.value())


async def write_row(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 'kept' AS value")


async def read_row(dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT value FROM kept")).fetchone()
    assert row is not None
    return str(row[0])


async def test_a_killed_broker_comes_back_with_every_acknowledged_record(engines: Supervisor) -> None:
    servers = engines.layout.address("kafka")
    write_record(servers, "kept")

    engines.kill("kafka")
    await engines.wait_healthy("kafka")

    assert read_record(servers, "kept") == b"kept"


async def test_a_killed_database_comes_back_with_every_committed_row(engines: Supervisor) -> None:
    dsn = engines.layout.postgres_dsn("evaluation")
    await write_row(dsn)

    engines.kill("postgres")
    await engines.wait_healthy("postgres")

    assert await read_row(dsn) == "kept"


async def test_a_second_start_keeps_what_the_first_one_wrote(own_layout: Layout) -> None:
    async with Supervisor(own_layout) as first:
        await first.start({"kafka", "postgres"})
        write_record(own_layout.address("kafka"), "kept")
        await write_row(own_layout.postgres_dsn("evaluation"))

    async with Supervisor(own_layout) as second:
        await second.start({"kafka", "postgres"})

        assert read_record(own_layout.address("kafka"), "kept") == b"kept"
        assert await read_row(own_layout.postgres_dsn("evaluation")) == "kept"


async def test_the_runs_broker_has_every_topic_with_few_partitions(kafka: str) -> None:
    found = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=5).topics

    assert {topic.name: len(found[topic.name].partitions) for topic in TOPICS} == {
        topic.name: min(topic.partitions, 8) for topic in TOPICS
    }


async def test_each_test_gets_an_empty_database_of_its_own(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        cursor = await connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

        assert await cursor.fetchone() == (0,)
