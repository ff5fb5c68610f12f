"""From the event log into the cache and back, on the bus in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.common.v1 import answer_pb2 as common
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.evaluation.v1.evaluation_service_pb2 import VERDICT_FAILED
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_cache.adapters.memory import MemoryStore, WordEncoder
from plumbline_cache.domain.entry import Cost, Saving
from plumbline_cache.domain.room import Bounds
from plumbline_cache.ports import Store
from plumbline_cache.wiring import Parts
from plumbline_contracts.topics import DOCUMENT_CHANGED, ENTRY_INVALIDATED, EVALUATION_COMPLETED
from plumbline_kit.bus import MemoryBus
from plumbline_kit.release import Release
from plumbline_kit.testing import FakeClock

Make = Callable[..., Any]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Running:
    """The cache's listening side, and the log around it."""

    bus: MemoryBus
    store: Store
    parts: Parts

    async def hear(self, *events: EvaluationCompleted | DocumentChanged) -> None:
        """Publish and return once everything was handled."""
        for event in events:
            if isinstance(event, DocumentChanged):
                await self.bus.publish(DOCUMENT_CHANGED, f"{event.tenant_id}/{event.document_id}", event)
            else:
                await self.bus.publish(EVALUATION_COMPLETED, event.subject.answer_id, event)
        await self.catch_up("cache-test")

    async def catch_up(self, group: str) -> None:
        consumer = self.bus.consumer(group, self.parts.subscriptions())
        running = asyncio.create_task(consumer.run())
        await consumer.caught_up()
        await consumer.stop()
        await running

    def told(self) -> list[pb.EntryInvalidated]:
        return [record.body for record in self.bus.records(ENTRY_INVALIDATED) if record.body is not None]

    def held(self) -> list[str]:
        return [entry.answer_id for entry in self.store.of_tenant("acme")]


@pytest.fixture
async def running(release: Release) -> AsyncIterator[Running]:
    bus, store = MemoryBus(), MemoryStore()
    parts = Parts(
        store, WordEncoder(), WordEncoder.id, WordEncoder.dimensions, bus, release, FakeClock(NOON), Bounds(1000, 500)
    )
    yield Running(bus, store, parts)
    parts.close()


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        (common.CONDENSATION_METHOD_UNCHANGED, True),
        (common.CONDENSATION_METHOD_RULE, False),
        (common.CONDENSATION_METHOD_MODEL, False),
        (common.CONDENSATION_METHOD_JOINED, False),
        (common.CONDENSATION_METHOD_UNSPECIFIED, False),
    ],
)
async def test_what_was_said_earlier_in_an_unknown_conversation_never_becomes_an_entry(
    running: Running, evaluated: Make, method: common.CondensationMethod, kept: bool
) -> None:
    event = evaluated(("prices", 3, "h1"))
    event.subject.condensation.method = method
    event.subject.condensation.original_question = "And how much is it?"
    await running.hear(event)
    assert running.held() == ([event.subject.answer_id] if kept else [])


@pytest.mark.parametrize(
    ("method", "conversation"),
    [
        (common.CONDENSATION_METHOD_UNCHANGED, ""),
        (common.CONDENSATION_METHOD_RULE, "5f" * 32),
        (common.CONDENSATION_METHOD_UNSPECIFIED, "5f" * 32),
    ],
)
async def test_what_was_said_earlier_stays_within_its_conversation(
    running: Running, evaluated: Make, method: common.CondensationMethod, conversation: str
) -> None:
    event = evaluated(("prices", 3, "h1"))
    event.subject.condensation.method = method
    event.subject.condensation.conversation = "5f" * 32
    await running.hear(event)
    [entry] = running.store.of_tenant("acme")
    assert entry.scope.conversation == conversation


async def test_an_answer_that_passed_becomes_an_entry_of_its_scope(
    running: Running, evaluated: Make, release: Release
) -> None:
    event = evaluated(("prices", 3, "h1"))
    await running.hear(event)
    [entry] = running.store.of_tenant("acme")
    assert common.Answer.FromString(entry.answer) == event.subject.answer
    assert (entry.scope.groups, entry.scope.release) == (("sales",), release.id)
    assert [(s.document, s.version, s.passage) for s in entry.sources] == [("prices", 3, "h1")]
    assert entry.evaluation_id == "e-a1"


async def test_an_entry_knows_what_its_generation_took_and_how_near_its_sources_are(
    running: Running, evaluated: Make
) -> None:
    event = evaluated(("prices", 3, "h1"), ("prices", 3, "h2"))
    record = event.subject.record
    record.prompt_tokens, record.completion_tokens = 170, 40
    record.total_time.FromTimedelta(timedelta(seconds=1.5))
    record.cost.currency_code, record.cost.amount = "EUR", 0.02
    record.further_costs.add(currency_code="USD", amount=0.01)
    event.subject.answer.sources[0].similarity, event.subject.answer.sources[1].similarity = 0.7, 0.4
    await running.hear(event)
    [entry] = running.store.of_tenant("acme")
    assert entry.saving == Saving(170, 40, 1.5, (Cost("EUR", 0.02), Cost("USD", 0.01)))
    assert entry.least_similarity == pytest.approx(0.4)


async def test_a_source_of_unknown_nearness_leaves_the_least_unknown(running: Running, evaluated: Make) -> None:
    event = evaluated(("prices", 3, "h1"), ("prices", 3, "h2"))
    event.subject.answer.sources[0].similarity = 0.7
    await running.hear(event)
    [entry] = running.store.of_tenant("acme")
    assert (entry.least_similarity, entry.saving) == (None, Saving())


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": VERDICT_FAILED},
        {"outcome": common.ANSWER_OUTCOME_REFUSED},
        {"verdict": 0},
        {"redacted": 1},
        {"structured": True},
    ],
)
async def test_other_answers_do_not(running: Running, evaluated: Make, fields: dict[str, Any]) -> None:
    await running.hear(evaluated(("prices", 3, "h1"), **fields))
    assert running.held() == []


async def test_an_answer_without_sources_does_not(running: Running, evaluated: Make) -> None:
    await running.hear(evaluated())
    assert running.held() == []


async def test_a_changed_source_takes_the_entry_out_and_says_why(
    running: Running, evaluated: Make, changed: Make, release: Release
) -> None:
    await running.hear(evaluated(("prices", 3, "h1"), question="Why so dear?"))
    await running.hear(changed(3, 8, ["h1"]))
    assert running.held() == []
    [fact] = running.told()
    assert (fact.tenant_id, fact.answer_id, fact.question) == ("acme", "a1", "Why so dear?")
    assert (fact.cause, fact.document_id) == (pb.INVALIDATION_CAUSE_SOURCE_CHANGED, "prices")
    assert fact.document_version == 8
    assert fact.release.release_id == release.id
    [record] = running.bus.records(ENTRY_INVALIDATED)
    assert record.key == f"acme/{fact.entry_id}"


async def test_a_deleted_source_is_told_as_such(running: Running, evaluated: Make, changed: Make) -> None:
    await running.hear(evaluated(("prices", 3, "h1")))
    await running.hear(changed(3, 8, deleted=True))
    assert [fact.cause for fact in running.told()] == [pb.INVALIDATION_CAUSE_SOURCE_DELETED]


async def test_a_new_generation_hears_everything_again_and_tells_under_the_same_ids(
    running: Running, evaluated: Make, changed: Make, release: Release
) -> None:
    await running.hear(evaluated(("prices", 3, "h1")))
    await running.hear(changed(3, 8, ["h1"]))
    [first] = running.bus.records(ENTRY_INVALIDATED)
    parts = Parts(
        MemoryStore(),
        WordEncoder(),
        WordEncoder.id,
        WordEncoder.dimensions,
        running.bus,
        release,
        FakeClock(NOON),
        Bounds(1000, 500),
    )
    anew = Running(running.bus, parts.store, parts)
    await anew.catch_up("cache-another-generation")
    assert anew.held() == []
    assert {record.event_id for record in running.bus.records(ENTRY_INVALIDATED)} == {first.event_id}
    parts.close()


async def test_a_change_that_goes_back_is_dead_lettered_and_the_next_is_heard(
    running: Running, evaluated: Make, changed: Make
) -> None:
    await running.hear(evaluated(("prices", 3, "h1")))
    await running.hear(changed(8, 3, ["h1"]), changed(3, 9, ["h1"]))
    assert running.held() == []


async def test_an_admission_is_a_span_of_the_evaluations_trace(
    running: Running, evaluated: Make, spans: Callable[[], list[Any]]
) -> None:
    with trace.get_tracer("test").start_as_current_span("evaluate"):
        trace_id = trace.get_current_span().get_span_context().trace_id
        await running.hear(evaluated(("prices", 3, "h1")))
    [span] = [span for span in spans() if span.name == "admit answer"]
    assert span.context.trace_id == trace_id
    assert span.attributes["plumbline.answer.id"] == "a1"


async def test_a_passage_near_a_cached_question_is_compared_by_its_direction(
    running: Running, evaluated: Make, changed: Make
) -> None:
    await running.hear(evaluated(("prices", 3, "h1"), question="What does the lamp cost?"))
    far, near = changed(3, 4), changed(4, 5)
    for change, text in [(far, "opening hours"), (near, "what the lamp does cost")]:
        vector = await WordEncoder().encode(text)
        change.added_passage_hashes.append("new")
        change.added_vectors = np.rint(vector / vector.max() * 127).astype(np.int8).tobytes()
        change.added_encoder_id = WordEncoder.id
    await running.hear(far)
    assert [entry.mark for entry in running.store.of_tenant("acme")] == [None]
    await running.hear(near)
    [entry] = running.store.of_tenant("acme")
    assert entry.mark is not None
    assert (entry.mark.document, entry.mark.version, entry.mark.passage) == ("prices", 5, "new")


@pytest.mark.parametrize(
    ("vectors", "encoder_id", "marked"),
    [(b"", "", True), (b"", WordEncoder.id, True), (b"x" * 384, "another@1", False)],
)
async def test_what_cannot_be_compared_marks_all_unless_another_encoder_made_it(
    running: Running, evaluated: Make, changed: Make, vectors: bytes, encoder_id: str, marked: bool
) -> None:
    change = changed(3, 4)
    change.added_passage_hashes.append("new")
    change.added_vectors, change.added_encoder_id = vectors, encoder_id
    await running.hear(evaluated(("prices", 3, "h1")))
    await running.hear(change)
    [entry] = running.store.of_tenant("acme")
    assert (entry.mark is not None) is marked


@pytest.mark.parametrize("length", [1, 383, 384, 767, 769, 2 * 768])
async def test_vectors_that_do_not_fit_hashes_or_encoder_are_dead_lettered(
    running: Running, evaluated: Make, changed: Make, length: int
) -> None:
    change = changed(3, 4, ["h1"])
    change.added_passage_hashes.extend(["new", "newer"])
    change.added_vectors, change.added_encoder_id = b"x" * length, WordEncoder.id
    await running.hear(evaluated(("prices", 3, "h1")), change)
    assert len(running.bus.raw_records(DOCUMENT_CHANGED.dead_letters("cache-test"))) == 1


async def test_vectors_that_do_not_fit_their_hashes_keep_no_entry_alive(
    running: Running, evaluated: Make, changed: Make
) -> None:
    change = changed(3, 4, ["h1"])
    change.added_passage_hashes.extend(["new", "newer"])
    change.added_vectors, change.added_encoder_id = b"x" * 383, WordEncoder.id
    await running.hear(evaluated(("prices", 3, "h1")), change)
    assert not list(running.store.of_tenant("acme"))
