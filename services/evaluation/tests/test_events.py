"""Generated answers over the bus: evaluated once, in their trace, whatever the world does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED, MAX_MESSAGE_BYTES
from plumbline_evaluation.domain.evaluation import Verdict
from plumbline_evaluation.events import GROUP, EvaluationEvents
from plumbline_evaluation.handlers import EvaluateAnswer, RecordEvaluation
from plumbline_evaluation.testing import MINIMUMS, QUESTION, FakeSimilarity, MemoryEvaluations, a_subject, an_answer
from plumbline_evaluation.translation import completed_to_proto
from plumbline_kit.bus import MemoryBus
from plumbline_kit.testing import FakeClock, eventually

TEXT = "The Aurora lamp costs 49 euros."


def a_fact(answer_id: str = "answer-1", *, tenant: str = "acme", source: str = TEXT) -> AnswerGenerated:
    """A generated answer with one source and one citation."""
    fact = AnswerGenerated(answer_id=answer_id, tenant_id=tenant, groups=["sales"], question=QUESTION)
    fact.answer.text = TEXT
    fact.answer.outcome = common_pb.ANSWER_OUTCOME_ANSWERED
    fact.answer.claims.add(start_offset=0, end_offset=len(TEXT), source_numbers=[1])
    fact.answer.sources.add(title="Aurora", text=source).ref.document_id = "lamp"
    return fact


@asynccontextmanager
async def listening(bus: MemoryBus, store: MemoryEvaluations) -> AsyncIterator[None]:
    """Evaluation on fakes, consuming from *bus*; what lay there before has been handled when the block begins."""
    evaluate = EvaluateAnswer(FakeSimilarity(), MINIMUMS, FakeClock())
    consumer = bus.consumer(GROUP, EvaluationEvents(RecordEvaluation(evaluate, store)).subscriptions())
    running = asyncio.create_task(consumer.run())
    try:
        await consumer.caught_up()
        yield
    finally:
        await consumer.stop()
        await running


async def test_a_repeated_delivery_makes_one_evaluation_that_carries_the_whole_answer() -> None:
    bus, store = MemoryBus(), MemoryEvaluations()
    for _ in range(2):
        await bus.publish(ANSWER_GENERATED, "answer-1", a_fact(), event_id="event-1")
    async with listening(bus, store):
        [completed] = store.announced
    assert completed.evaluation.verdict is Verdict.PASSED
    assert completed_to_proto(completed).subject == a_fact()


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(a_fact(""), id="no_answer_id"),
        pytest.param(a_fact(tenant=""), id="no_tenant"),
        pytest.param(a_fact(source="x" * (MAX_MESSAGE_BYTES - 2_000)), id="no_room_for_scores"),
        pytest.param(None, id="no_body"),
    ],
)
async def test_an_unusable_answer_becomes_a_dead_letter_and_the_next_one_is_evaluated(
    fact: AnswerGenerated | None,
) -> None:
    bus, store = MemoryBus(), MemoryEvaluations()
    await bus.publish(ANSWER_GENERATED, "answer-0", fact)
    await bus.publish(ANSWER_GENERATED, "answer-1", a_fact())
    async with listening(bus, store):
        assert [completed.subject.answer_id for completed in store.announced] == ["answer-1"]
    assert len(bus.raw_records(ANSWER_GENERATED.dead_letters(GROUP))) == 1


async def test_while_the_store_is_away_answers_wait_and_are_evaluated_afterwards() -> None:
    bus, store = MemoryBus(), MemoryEvaluations()
    async with listening(bus, store):
        store.away = True
        await bus.publish(ANSWER_GENERATED, "answer-1", a_fact())
        await eventually(lambda: store.refused)
        store.away = False
        await eventually(lambda: store.announced)
    assert bus.raw_records(ANSWER_GENERATED.dead_letters(GROUP)) == []


async def test_verdict_and_scores_stand_on_the_span_that_handled_the_answer() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record = RecordEvaluation(EvaluateAnswer(FakeSimilarity(), MINIMUMS, FakeClock()), MemoryEvaluations())
    with provider.get_tracer("test").start_as_current_span("process"):
        await record(a_subject(an_answer(cites=())), event_id="event-1")
    [span] = exporter.get_finished_spans()
    assert (span.attributes["plumbline.answer.id"], span.attributes["plumbline.evaluation.verdict"]) == (
        "answer-1",
        "needs_review",
    )
    told = {event.attributes["gen_ai.evaluation.name"]: event.attributes for event in span.events}
    assert {event.name for event in span.events} == {"gen_ai.evaluation.result"}
    assert told["faithfulness"]["gen_ai.evaluation.score.value"] == 1.0
    assert told["faithfulness"]["gen_ai.evaluation.score.label"] == "pass"
    assert told["citation_validity"]["gen_ai.evaluation.explanation"] == "the answer cites nothing"
    assert "gen_ai.evaluation.score.value" not in told["citation_validity"]
