"""A bus for the contract suite: in memory, or a real broker."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_contracts.topics import Topic
from plumbline_kit.bus import Backoff, KafkaConsumer, KafkaPublisher, MemoryBus, Received, Subscription, create_topics
from plumbline_kit.bus.kafka_client import to_record
from plumbline_kit.bus.records import Record
from plumbline_kit.bus.runner import Runner
from plumbline_kit.clock import SystemClock
from plumbline_kit.testing import eventually

QUICK = Backoff(first=0.02, most=0.1, random=Random(7))
Handle = Callable[[Received[Any]], Awaitable[None]]


class Bus(Protocol):
    """What the contract suite needs of either bus."""

    publisher: Any

    def consumer(self, group: str, subscriptions: list[Subscription[Any]], **options: Any) -> Runner: ...

    async def raw_records(self, topic: str) -> list[Record]: ...

    async def make(self, topic: Topic[Any]) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.publisher = MemoryBus(partitions=4)

    def consumer(self, group: str, subscriptions: list[Subscription[Any]], **options: Any) -> Runner:
        return self.publisher.consumer(group, subscriptions, backoff=QUICK, **options)

    async def raw_records(self, topic: str) -> list[Record]:
        return self.publisher.raw_records(topic)

    async def make(self, topic: Topic[Any]) -> None:
        pass


class OnKafka:
    def __init__(self, servers: str, *, alone: bool = False) -> None:
        self.servers = servers
        self.alone = alone
        self.publisher = KafkaPublisher(servers, source="test", clock=SystemClock())

    def consumer(self, group: str, subscriptions: list[Subscription[Any]], **options: Any) -> Runner:
        return KafkaConsumer(
            self.servers,
            group=group,
            subscriptions=subscriptions,
            dead_letters=self.publisher,
            clock=SystemClock(),
            backoff=QUICK,
            **({"alone": self.alone} | options),
        )

    async def raw_records(self, topic: str) -> list[Record]:
        return await asyncio.to_thread(read_all, self.servers, topic)

    async def make(self, topic: Topic[Any]) -> None:
        await asyncio.to_thread(create_topics, self.servers, [topic])


def read_all(servers: str, topic: str) -> list[Record]:
    """Every committed record of *topic*, partition by partition."""
    settings = {"bootstrap.servers": servers, "group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer(settings | {"enable.partition.eof": True, "auto.offset.reset": "earliest"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        records, left = [], len(partitions)
        while left:
            message = consumer.poll(10)
            assert message is not None, "the broker does not answer"
            if message.error():
                left -= 1
            else:
                records.append(to_record(message))
        return records
    finally:
        consumer.close()


@pytest.fixture(params=["memory", "kafka"])
def servers(request: pytest.FixtureRequest) -> str | None:
    """The broker, or None for the bus in memory (which then need not wait for a broker)."""
    return None if request.param == "memory" else request.getfixturevalue("kafka")


@pytest.fixture
async def bus(servers: str | None, request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if servers is None:
        yield InMemory()
        return
    on_kafka = OnKafka(servers, alone="kafka, alone" in request.node.name)
    yield on_kafka
    await on_kafka.publisher.close()


@pytest.fixture
async def topic(bus: Bus) -> Topic[DocumentChanged]:
    topic = Topic(f"test.{uuid.uuid4().hex[:8]}.v1", DocumentChanged, "tenant/document", 4)
    await bus.make(topic)
    return topic


@dataclass
class Running:
    """A consumer at work and what its handler heard."""

    consumer: Runner
    task: asyncio.Task[None]
    heard: list[Received[Any]]

    @property
    def keys(self) -> list[str]:
        return [record.key for record in self.heard]

    async def stop(self) -> None:
        await self.consumer.stop()
        await self.task

    async def hears(self, count: int) -> list[Received[Any]]:
        await eventually(lambda: len(self.heard) >= count)
        return self.heard


@dataclass
class Starter:
    """Starts consumers that keep what they hear, and sees to their end."""

    bus: Bus
    topic: Topic[Any]
    running: list[Running] = field(default_factory=list)

    def __call__(self, handle: Handle | None = None, *, group: str = "g", **options: Any) -> Running:
        heard: list[Received[Any]] = []

        async def keep(record: Received[Any]) -> None:
            if handle is not None:
                await handle(record)
            heard.append(record)

        subscriptions = options.pop("subscriptions", [Subscription(self.topic, keep)])
        consumer = self.bus.consumer(group, subscriptions, **options)
        running = Running(consumer, asyncio.create_task(consumer.run()), heard)
        self.running.append(running)
        return running

    async def stop(self) -> None:
        for running in self.running:
            await running.consumer.stop()
            await asyncio.gather(running.task, return_exceptions=True)


@pytest.fixture
async def start(bus: Bus, topic: Topic[DocumentChanged]) -> AsyncIterator[Starter]:
    starter = Starter(bus, topic)
    yield starter
    await starter.stop()


@pytest.fixture
def publish(bus: Bus, topic: Topic[DocumentChanged]) -> Callable[..., Awaitable[None]]:
    """Publishes one event for each key given, in order; its version is its index."""

    async def publish(*keys: str) -> None:
        for version, key in enumerate(keys):
            await bus.publisher.publish(topic, key, DocumentChanged(tenant_id="acme", new_version=version))

    return publish


def numbered(records: Collection[Received[Any]]) -> list[int]:
    return [record.body.new_version for record in records]
