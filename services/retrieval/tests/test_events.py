"""From the corpus into the index and on to others, on the bus in memory and on Kafka."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_events_pb2 import (
    DocumentChanged,
    DocumentRejected,
    DocumentSubmitted,
    FactRecorded,
)
from plumbline_contracts.topics import (
    DOCUMENT_CHANGED,
    DOCUMENT_REJECTED,
    DOCUMENT_SUBMITTED,
    FACT_RECORDED,
    SOURCE_REGISTERED,
)
from plumbline_kit.bus import Backoff, KafkaConsumer, KafkaPublisher, MemoryBus, Received, Subscription
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import eventually
from plumbline_retrieval.adapters.change_records import ChangeMapping, ChangeRecords
from plumbline_retrieval.adapters.memory import MemoryIndex, WordEncoder, word_offsets
from plumbline_retrieval.adapters.models import Models
from plumbline_retrieval.adapters.reading import SandboxedReader
from plumbline_retrieval.domain.chunking import Cutting, cut
from plumbline_retrieval.domain.document import DocumentKey
from plumbline_retrieval.domain.fact import Fact
from plumbline_retrieval.domain.head import Head, State
from plumbline_retrieval.domain.source import Source, Trust
from plumbline_retrieval.events import BusAnnouncer, BusCorpus, ChangeEvents, WholeAnnouncer
from plumbline_retrieval.handlers.documents import Acceptance, View
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.translation import fact_message
from plumbline_retrieval.wiring import Held, Parts, Shared

Make = Callable[..., Any]

CLOCK = SystemClock()


def parts_on(bus: Any, index: MemoryIndex) -> Parts:
    encoder, held = WordEncoder(), Held.of(index, CLOCK, complete=True)
    return Parts(
        held, Models(encoder, encoder, Cutting(word_offsets)), Shared.by([held], SandboxedReader(), bus, CLOCK)
    )


@dataclass
class Running:
    """The indexer and the log around it."""

    bus: MemoryBus
    index: MemoryIndex
    look: Make
    tenant: str = "acme"

    async def submit(self, *documents: Any) -> list[int]:
        corpus = BusCorpus(self.bus, CLOCK)
        return [await corpus.append(self.key(document.document_id), document) for document in documents]

    async def delete(self, document_id: str) -> int:
        return await BusCorpus(self.bus, CLOCK).append(self.key(document_id), None)

    async def put(self, key: bytes | None, value: bytes | None) -> int:
        return (await self.bus.append(DOCUMENT_SUBMITTED.name, key, value, ())).offset

    async def index_all(self, group: str = "retrieval-test") -> None:
        """Return once the group has handled everything."""
        parts = parts_on(self.bus, self.index)
        subscriptions = [*parts.registry_events.subscriptions(), *parts.events.subscriptions()]
        consumer = self.bus.consumer(group, subscriptions, backoff=Backoff(first=0.01, most=0.02))
        running = asyncio.create_task(consumer.run())
        await consumer.caught_up()
        await consumer.stop()
        await running

    def key(self, document_id: str) -> DocumentKey:
        return DocumentKey(self.tenant, document_id)

    async def head(self, document_id: str = "lamp") -> Head:
        return (await self.index.heads([self.key(document_id)]))[self.key(document_id)]

    async def find(self, text: str) -> list[str]:
        found = await self.look(self.index, self.tenant, text, await WordEncoder().encode_one(text))
        return [each.passage.text.split(" filler")[0] for each in found]

    def changed(self) -> list[Received[DocumentChanged]]:
        return self.bus.records(DOCUMENT_CHANGED)

    def rejected(self) -> list[Received[DocumentRejected]]:
        return self.bus.records(DOCUMENT_REJECTED)

    def dead_letters(self, group: str = "retrieval-test") -> int:
        return len(self.bus.raw_records(DOCUMENT_SUBMITTED.dead_letters(group)))


@pytest.fixture
def running(look: Make) -> Running:
    return Running(MemoryBus(), MemoryIndex(), look)


async def test_a_submitted_document_is_found_and_its_change_told(running: Running, document: Make) -> None:
    [version] = await running.submit(document("costs 12"))
    await running.index_all()
    assert await running.find("costs 12") == ["costs 12"]
    [record] = running.changed()
    fact = record.body
    assert record.key == "acme/lamp"
    assert (fact.tenant_id, fact.document_id, fact.old_version, fact.new_version) == ("acme", "lamp", -1, version)
    assert (fact.deleted, list(fact.removed_passage_hashes)) == (False, [])
    assert tuple(fact.added_passage_hashes) == (await running.head()).live.passage_hashes
    assert fact.change_time.seconds > 0


async def test_the_corpus_carries_the_whole_document(running: Running, document: Make) -> None:
    lamp = document("costs 12", url="https://shop/lamp", groups=("ops", "sales"))
    await running.submit(lamp)
    [record] = running.bus.records(DOCUMENT_SUBMITTED)
    carried = record.body.document
    assert (record.key, record.body.tenant_id, record.body.submit_time.seconds > 0) == ("acme/lamp", "acme", True)
    assert (carried.document_id, carried.title, carried.text) == (lamp.document_id, lamp.title, lamp.text)
    assert (carried.url, tuple(carried.groups)) == (lamp.url, lamp.groups)


async def test_a_tombstone_deletes(running: Running, document: Make) -> None:
    await running.submit(document("costs 12"))
    await running.delete("lamp")
    await running.index_all()
    assert await running.find("costs 12") == []
    first, second = (record.body for record in running.changed())
    assert (second.deleted, second.old_version, second.new_version) == (True, 0, 1)
    assert second.removed_passage_hashes == first.added_passage_hashes
    assert not second.kept_passage_hashes


async def test_a_change_names_the_passages_that_stay(running: Running, document: Make) -> None:
    await running.submit(document("costs 12", "is grey"))
    await running.index_all()
    grey = (await running.head()).live.passage_hashes[1]
    await running.submit(document("costs 13", "is grey"))
    await running.submit(document("costs 13", "is grey", title="The lamp"))
    await running.index_all()
    first, second, third = (record.body for record in running.changed())
    assert not first.kept_passage_hashes
    assert list(second.kept_passage_hashes) == [grey]
    assert not third.kept_passage_hashes  # what was answered rested on the title too


async def test_a_change_tells_the_directions_of_what_was_added_and_who_may_read_it(
    running: Running, document: Make
) -> None:
    await running.submit(document("costs 12", "is grey"))
    await running.index_all()
    new = document("costs 13", "is grey", groups=("sales",))
    await running.submit(new)
    await running.index_all()
    await running.delete("lamp")
    await running.index_all()
    first, second, third = (record.body for record in running.changed())
    assert (len(first.added_passage_hashes), list(first.groups)) == (2, [])
    assert (list(second.groups), second.added_encoder_id, third.added_vectors) == (["sales"], WordEncoder.id, b"")
    [row] = np.frombuffer(second.added_vectors, np.int8).reshape(1, -1).astype(np.float32)
    [passage, _] = cut(new.text, Cutting(word_offsets))
    [vector] = await WordEncoder().encode([passage.embedded(new.title)])
    assert float(row @ vector) / float(np.linalg.norm(row)) == pytest.approx(1.0, abs=0.01)


async def test_an_index_beside_another_tells_nothing_until_it_is_whole(running: Running, document: Make) -> None:
    told, readiness = BusAnnouncer(running.bus, "words@1"), Readiness(complete=False)
    await running.submit(document("costs 12"))
    await running.index_all()
    head, beside = await running.head(), WholeAnnouncer(told, readiness)
    await beside.document_changed(head, {})
    await beside.document_rejected(head, "corpus[0]")
    assert (len(running.changed()), len(running.rejected())) == (1, 0)
    readiness.complete = True
    await beside.document_changed(head, {})
    first, again = running.changed()
    assert first.event_id == again.event_id
    await beside.document_rejected(head, "corpus[0]")
    assert running.rejected() == []


async def test_a_new_generation_reads_the_corpus_again_and_tells_the_same_facts_under_the_same_ids(
    running: Running, document: Make
) -> None:
    await running.submit(document("costs 12"), document("costs 13"), document("a desk", document_id="desk"))
    await running.index_all("retrieval-indexer-1")
    first = {record.event_id: record.body.new_version for record in running.changed()}
    running.index = MemoryIndex()
    await running.index_all("retrieval-indexer-2")
    assert sorted(await running.find("costs")) == ["a desk", "costs 13"]
    assert {record.event_id: record.body.new_version for record in running.changed()} == first
    assert len(running.changed()) == 2 * len(first)


async def test_a_document_of_another_producer_that_cannot_be_indexed_is_rejected_and_not_a_dead_letter(
    running: Running, document: Make
) -> None:
    await running.submit(document("costs 12"))
    body = DocumentSubmitted(tenant_id="acme", document=pb.Document(document_id="lamp", text=" \n"))
    version = await running.put(b"acme/lamp", body.SerializeToString())
    await running.index_all()
    [record] = running.rejected()
    fact = record.body
    assert (record.key, fact.tenant_id, fact.document_id, fact.version) == ("acme/lamp", "acme", "lamp", version)
    assert fact.reason == "document.text is empty"
    assert fact.origin == f"{DOCUMENT_SUBMITTED.name}[0]@{version}"
    assert fact.reject_time.seconds > 0
    assert (await running.head()).state is State.REJECTED
    assert await running.find("costs 12") == ["costs 12"]
    assert running.dead_letters() == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(b"acme/lamp", b"\xff\xff", id="not_the_message"),
        pytest.param(b"lamp", None, id="key_without_tenant"),
        pytest.param(b"/lamp", None, id="key_with_empty_tenant"),
        pytest.param(b"acme/", None, id="key_without_document"),
        pytest.param(None, None, id="no_key"),
        pytest.param(
            b"acme/lamp",
            DocumentSubmitted(
                tenant_id="globex", document=pb.Document(document_id="lamp", text="x")
            ).SerializeToString(),
            id="other_tenant_inside",
        ),
        pytest.param(
            b"acme/lamp",
            DocumentSubmitted(tenant_id="acme", document=pb.Document(document_id="desk", text="x")).SerializeToString(),
            id="other_document_inside",
        ),
    ],
)
async def test_a_record_that_belongs_to_no_document_is_a_dead_letter_and_the_next_is_indexed(
    running: Running, document: Make, key: bytes | None, value: bytes | None
) -> None:
    await running.put(key, value)
    await running.submit(document("costs 12"))
    await running.index_all()
    assert running.dead_letters() == 1
    assert await running.find("costs 12") == ["costs 12"]


async def test_a_change_that_cannot_be_told_is_told_once_the_log_is_back(document: Make, look: Make) -> None:
    bus = FlakyBus(failures=3)
    running = Running(bus, MemoryIndex(), look)
    await running.submit(document("costs 12"))
    await running.index_all()
    assert len(running.changed()) == 1
    assert bus.failures == 0
    assert running.dead_letters() == 0


class FlakyBus(MemoryBus):
    """Takes the corpus at once, and other facts only after some tries."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def publish(self, topic: Any, key: str, body: Any, *, event_id: str | None = None) -> Any:
        if topic is DOCUMENT_CHANGED and self.failures:
            self.failures -= 1
            raise Unavailable("the event log is away")
        return await super().publish(topic, key, body, event_id=event_id)


async def test_on_kafka_versions_are_offsets_and_changes_form_a_chain(kafka: str, document: Make) -> None:
    index, tenant, heard = MemoryIndex(), f"tenant-{uuid.uuid4().hex[:8]}", []

    async def hear(record: Received[DocumentChanged]) -> None:
        if record.body is not None and record.body.tenant_id == tenant:
            heard.append(record.body)

    publisher = KafkaPublisher(kafka, source="test", clock=CLOCK)
    corpus, key = BusCorpus(publisher, CLOCK), DocumentKey(tenant, "lamp")
    indexer = parts_on(publisher, index).events.subscriptions()
    async with consuming(kafka, publisher, *indexer), consuming(kafka, publisher, Subscription(DOCUMENT_CHANGED, hear)):
        versions = [await corpus.append(key, document(f"costs {price}")) for price in range(5)]
        versions.append(await corpus.append(key, None))
        await eventually(lambda: len(heard) == 6, seconds=30)
    assert versions == sorted(set(versions))
    assert [fact.new_version for fact in heard] == versions
    assert [fact.old_version for fact in heard] == [-1, *versions[:-1]]
    assert [fact.deleted for fact in heard] == [False] * 5 + [True]
    assert (await index.heads([key]))[key].state is State.DELETED
    await publisher.close()


@asynccontextmanager
async def consuming(kafka: str, publisher: KafkaPublisher, *subscriptions: Subscription[Any]) -> AsyncIterator[None]:
    consumer = KafkaConsumer(
        kafka, group=f"test-{uuid.uuid4().hex}", subscriptions=subscriptions, dead_letters=publisher, clock=CLOCK
    )
    running = asyncio.create_task(consumer.run())
    yield
    await consumer.stop()
    await running


LAMP_PRICE = Fact("Aurora lamp", "price", "49", datetime(2026, 3, 1, 12, tzinfo=UTC), "EUR")


async def test_a_fact_is_found_and_its_successor_takes_its_place(running: Running) -> None:
    corpus = BusCorpus(running.bus, CLOCK)
    await corpus.append_fact("acme", LAMP_PRICE)
    await running.index_all()
    assert await running.find("Aurora lamp price") == [LAMP_PRICE.document().text]
    dearer = replace(LAMP_PRICE, value="68")
    await corpus.append_fact("acme", dearer)
    await running.index_all()
    assert await running.find("Aurora lamp price") == [dearer.document().text]
    await corpus.append_fact("acme", replace(LAMP_PRICE, retracted=True))
    await running.index_all()
    assert await running.find("Aurora lamp price") == []
    assert [record.body.deleted for record in running.changed()] == [False, False, True]


async def test_a_fact_under_another_ones_name_is_rejected(running: Running) -> None:
    body = FactRecorded(tenant_id="acme", document_id="facts/aurora lamp/stock", fact=fact_message(LAMP_PRICE))
    await running.bus.publish(FACT_RECORDED, "acme/facts/aurora lamp/stock", body)
    await running.index_all()
    [record] = running.rejected()
    assert "belongs under facts/aurora lamp/price" in record.body.reason


async def test_a_source_is_registered_and_confirmed_from_the_log(running: Running) -> None:
    corpus, at = BusCorpus(running.bus, CLOCK), LAMP_PRICE.since
    wiki = Source("wiki", "The wiki", trust=Trust.HIGH, refresh_interval=timedelta(hours=1))
    await corpus.append_source("acme", wiki)
    await corpus.confirm_source("acme", "wiki", at)
    await running.index_all()
    assert await running.index.sources("acme") == {"wiki": replace(wiki, confirmed_at=at)}


async def test_what_is_no_source_is_a_dead_letter(running: Running) -> None:
    await running.bus.publish(SOURCE_REGISTERED, "acme/wiki", None)
    await running.index_all()
    assert len(running.bus.raw_records(SOURCE_REGISTERED.dead_letters("retrieval-test"))) == 1


async def test_change_records_of_a_database_become_versions_and_deletions(running: Running) -> None:
    mapping = ChangeMapping("shop.public.products", "acme", "default", "products/{id}", "{name} costs {price} euros.")
    acceptance = Acceptance(BusCorpus(running.bus, CLOCK), [View(running.index, Progress())])
    events = ChangeEvents(mapping.topic, mapping.tenant, ChangeRecords(mapping), acceptance)
    row = {"id": 7, "name": "Aurora", "price": 49}
    changes = [{"op": "c", "before": None, "after": row}, {"op": "u", "before": row, "after": row | {"price": 68}}]
    for change in [*map(json.dumps, changes), "{"]:
        await running.bus.append(mapping.topic, b'{"id": 7}', change.encode(), ())
    await consumed(running.bus, "changes", events.subscription())
    await running.index_all()
    assert await running.find("Aurora costs") == ["Aurora costs 68 euros."]
    assert len(running.bus.raw_records(f"{mapping.topic}.changes.dlq")) == 1
    await running.bus.append(mapping.topic, b'{"id": 7}', None, ())
    await consumed(running.bus, "changes", events.subscription())
    await running.index_all()
    assert await running.find("Aurora costs") == []


async def consumed(bus: MemoryBus, group: str, subscription: Subscription[Any]) -> None:
    """Return once the group has handled everything."""
    consumer = bus.consumer(group, [subscription])
    running = asyncio.create_task(consumer.run())
    await consumer.caught_up()
    await consumer.stop()
    await running


@pytest.mark.parametrize(("topic", "key"), [(DOCUMENT_SUBMITTED, "acme/facts/a/b"), (FACT_RECORDED, "acme/lamp")])
async def test_neither_log_speaks_of_the_others_documents(running: Running, topic: Any, key: str) -> None:
    await running.bus.publish(topic, key, None)
    await running.index_all()
    assert len(running.bus.raw_records(topic.dead_letters("retrieval-test"))) == 1
