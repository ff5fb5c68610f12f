"""What is kept of an answer, on a real event log: every fact, log line and span of answers full of values."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_generation.domain.guarding import GuardSettings
from plumbline_guards.findings import Kind
from plumbline_guards.testing import ASSIGNMENTS, CANARY, EXAMPLES
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, MemoryBus, Received, Subscription, create_topics
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release
from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM

Serving = Callable[..., Any]
SETTINGS = GuardSettings(canary=CANARY)
VALUES = [value for kind, value in EXAMPLES if kind is not Kind.INVISIBLE] + [value for _, value in ASSIGNMENTS]
TEXTS = [value for kind, value in EXAMPLES if kind is not Kind.INVISIBLE] + [text for text, _ in ASSIGNMENTS]


def request_about(text: str, release: Release, passage: str | None = None) -> pb.GenerateAnswerRequest:
    """A question and a passage with *text* in them."""
    ref = common_pb.PassageRef(document_id="lamp", version=3, passage_hash="ab" * 32)
    found = f"The Aurora desk lamp costs 49 euros, {text}, today." if passage is None else passage
    question = f"How much does the Aurora desk lamp cost, {text}?"
    return pb.GenerateAnswerRequest(
        answer_id=str(uuid.uuid4()),
        question=question,
        passages=[common_pb.Passage(ref=ref, title="Aurora desk lamp", text=found)],
        release=common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id),
        condensation=common_pb.Condensation(
            original_question=f"{text}?", standalone_question=question, reason=f"because of {text}"
        ),
    )


def says(text: str) -> FakeLLM:
    return FakeLLM(script=lambda _: f"The Aurora desk lamp costs 49 euros, {text}, today. It is in stock.")


def holds(kept: object, value: str) -> bool:
    """Whether *value* stands in it, whatever spaces and signs are between."""
    bare = "".join(filter(str.isalnum, str(kept)))
    return "".join(filter(str.isalnum, value)) in bare


@pytest.fixture
async def publisher(kafka: str) -> AsyncIterator[KafkaPublisher]:
    await asyncio.to_thread(create_topics, kafka, [ANSWER_GENERATED], max_partitions=2)
    publisher = KafkaPublisher(kafka, source="test", clock=SystemClock())
    yield publisher
    await publisher.close()


async def published(kafka: str, publisher: KafkaPublisher, answer_ids: set[str]) -> list[AnswerGenerated]:
    """Every fact about *answer_ids*."""
    facts: list[AnswerGenerated] = []

    async def heard(received: Received[AnswerGenerated]) -> None:
        if received.body and received.body.answer_id in answer_ids:
            facts.append(received.body)

    listener = KafkaConsumer(
        kafka,
        group=f"test-{uuid.uuid4().hex[:8]}",
        subscriptions=(Subscription(ANSWER_GENERATED, heard),),
        dead_letters=publisher,
        clock=SystemClock(),
    )
    running = asyncio.create_task(listener.run())
    await eventually(lambda: {fact.answer_id for fact in facts} >= answer_ids)
    await listener.stop()
    await running
    return facts


async def answered(serving: Serving, release: Release, bus: Any, texts: Sequence[str]) -> set[str]:
    """Have every text asked, found and written; the ids of the answers."""
    ids = set()
    for text in texts:
        request = request_about(text, release)
        ids.add(request.answer_id)
        async with serving(model=says(text), bus=bus, guards=SETTINGS) as service:
            async for _ in service.stub.GenerateAnswer(request, timeout=10):
                pass
    return ids


async def test_no_value_of_any_kind_is_in_a_fact_a_log_line_or_a_span(
    serving: Serving, release: Release, kafka: str, publisher: KafkaPublisher, spans: InMemorySpanExporter
) -> None:
    with capture_logs() as lines:
        ids = await answered(serving, release, publisher, TEXTS)
    facts = await published(kafka, publisher, ids)
    assert {fact.answer_id for fact in facts} == ids
    ended = [span.to_json() for span in spans.get_finished_spans()]
    assert len(ended) > len(TEXTS)
    for value in VALUES:
        assert not [fact for fact in facts if holds(MessageToDict(fact), value)], value
        assert not [line for line in lines if holds(line, value)], value
        assert not [span for span in ended if holds(span, value)], value


async def test_claims_still_point_at_their_sentences_and_values_agree(serving: Serving, release: Release) -> None:
    bus, iban = MemoryBus(), "GB82 WEST 1234 5698 7654 32"
    request = request_about("4111 1111 1111 1111", release, f"The Aurora desk lamp is paid to {iban}. It is in stock.")
    model = FakeLLM(script=lambda _: f"The Aurora desk lamp is paid to {iban}. It is in stock.")
    async with serving(model=model, bus=bus) as service:
        *_, last = [message async for message in service.stub.GenerateAnswer(request, timeout=10)]
    assert iban in last.completed.answer.text
    assert not last.completed.record.redacted
    [record] = bus.records(ANSWER_GENERATED)
    fact = record.body
    assert fact is not None
    assert fact.condensation.original_question == "[card-1]?"
    assert fact.condensation.standalone_question == fact.question
    assert fact.condensation.reason == "because of [card-1]"
    assert fact.question == "How much does the Aurora desk lamp cost, [card-1]?"
    assert (
        fact.answer.text == fact.answer.sources[0].text == "The Aurora desk lamp is paid to [iban-1]. It is in stock."
    )
    assert [fact.answer.text[claim.start_offset : claim.end_offset] for claim in fact.answer.claims] == [
        "The Aurora desk lamp is paid to [iban-1].",
        "It is in stock.",
    ]
    assert {(one.kind, one.count) for one in fact.record.redacted} == {
        (pb.GUARD_FINDING_KIND_CARD, 4),
        (pb.GUARD_FINDING_KIND_IBAN, 2),
    }


async def test_a_contact_of_the_question_is_redacted_and_one_of_the_documents_is_not(
    serving: Serving, release: Release
) -> None:
    bus = MemoryBus()
    request = request_about("asks anna.berg@mail.example", release, "The Aurora desk lamp: help@shop.example knows.")
    async with serving(model=FakeLLM(script=lambda _: "The Aurora desk lamp: help@shop.example knows."), bus=bus) as at:
        async for _ in at.stub.GenerateAnswer(request, timeout=10):
            pass
    [record] = bus.records(ANSWER_GENERATED)
    assert record.body is not None
    assert "asks [email-1]?" in record.body.question
    assert record.body.answer.text == "The Aurora desk lamp: help@shop.example knows."


async def test_a_fact_is_as_it_is_where_nothing_is_to_be_redacted(serving: Serving, release: Release) -> None:
    bus, request = MemoryBus(), request_about("4111 1111 1111 1111", release)
    async with serving(bus=bus, guards=GuardSettings(stored="off")) as service:
        async for _ in service.stub.GenerateAnswer(request, timeout=10):
            pass
    [record] = bus.records(ANSWER_GENERATED)
    assert record.body is not None
    assert record.body.question == request.question
    assert not record.body.record.redacted
