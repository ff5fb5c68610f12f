"""One answer on the whole platform: its trace, its evaluation, its life in the cache."""

import uuid

from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline_kit.telemetry.names import ANSWER_ID
from plumbline_kit.testing import eventually
from plumbline_local.traces.store import StoredSpan, spans_of_trace, trace_of_answer
from tests.conftest import System
from tests.driver import Driver

HOPS = {
    ("gateway", "plumbline.gateway.v1.GatewayService/Ask"),
    ("cache", "plumbline.cache.v1.CacheService/LookupAnswer"),
    ("retrieval", "plumbline.retrieval.v1.RetrievalService/SearchPassages"),
    ("generation", "plumbline.generation.v1.GenerationService/GenerateAnswer"),
    ("generation", "send plumbline.generation.answer-generated.v1"),
    ("evaluation", "process plumbline.generation.answer-generated.v1"),
    ("evaluation", "send plumbline.evaluation.evaluation-completed.v1"),
    ("cache", "process plumbline.evaluation.evaluation-completed.v1"),
    ("cache", "admit answer"),
}


async def ask_about_a_new_lamp(driver: Driver, price: int = 41) -> tuple[str, str, gateway_pb.AskCompleted]:
    """A lamp nobody has heard of yet: its document, the question for its price, and the first answer."""
    name = f"Zephyr{uuid.uuid4().hex[:8]}"
    await driver.submit_and_wait(name, name, f"The {name} lamp costs {price} euros.")
    question = f"How much does the {name} lamp cost?"
    return name, question, await driver.ask(question)


async def cached(driver: Driver, question: str) -> gateway_pb.AskCompleted:
    """The answer once it comes from the cache."""

    async def from_cache() -> gateway_pb.AskCompleted | None:
        answer = await driver.ask(question)
        return answer if answer.origin == gateway_pb.ANSWER_ORIGIN_CACHED else None

    return await eventually(from_cache, seconds=20)


async def test_an_answer_and_all_it_causes_is_one_trace(system: System) -> None:
    _, _, answer = await ask_about_a_new_lamp(system.driver)

    async def whole_trace() -> list[StoredSpan] | None:
        trace_id = await trace_of_answer(system.traces_dsn, answer.answer_id)
        spans = await spans_of_trace(system.traces_dsn, trace_id) if trace_id else []
        return spans if {(span.service, span.name) for span in spans} >= HOPS else None

    spans = await eventually(whole_trace, seconds=20)
    assert any(span.attributes.get(ANSWER_ID) == answer.answer_id for span in spans if span.name == "admit answer")


async def test_a_generated_answer_says_what_it_rests_on_and_is_evaluated(system: System) -> None:
    name, _, answer = await ask_about_a_new_lamp(system.driver)
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_GENERATED
    assert answer.recorded
    assert answer.answer.sources[answer.answer.claims[0].source_numbers[0] - 1].ref.document_id == name

    evaluation = await eventually(lambda: system.driver.evaluation_of(answer.answer_id), seconds=20)
    assert evaluation.verdict == evaluation_pb.VERDICT_PASSED


async def test_a_changed_document_takes_its_cached_answer_with_it(system: System) -> None:
    name, question, _ = await ask_about_a_new_lamp(system.driver, price=41)
    assert "41" in (await cached(system.driver, question)).answer.text

    await system.driver.submit_and_wait(name, name, f"The {name} lamp costs 47 euros.")
    answer = await system.driver.ask(question)
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_GENERATED
    assert "47" in answer.answer.text


async def test_a_change_elsewhere_leaves_a_cached_answer_alone(system: System) -> None:
    _, question, _ = await ask_about_a_new_lamp(system.driver)
    await cached(system.driver, question)

    name = f"museum-{uuid.uuid4().hex[:8]}"
    await system.driver.submit_and_wait(name, "Museum", "Tickets of the museum are sold until four o'clock.")
    assert (await system.driver.ask(question)).origin == gateway_pb.ANSWER_ORIGIN_CACHED


async def test_a_new_document_near_a_cached_question_has_it_answered_afresh(system: System) -> None:
    name, question, _ = await ask_about_a_new_lamp(system.driver)
    await cached(system.driver, question)

    await system.driver.submit_and_wait(f"{name}-offer", name, f"From today the {name} lamp costs less.")

    async def afresh() -> bool:
        return (await system.driver.ask(question)).origin == gateway_pb.ANSWER_ORIGIN_GENERATED

    await eventually(afresh, seconds=20)


async def test_another_tenant_sees_neither_document_nor_cached_answer(system: System) -> None:
    _, question, _ = await ask_about_a_new_lamp(system.driver)
    await cached(system.driver, question)

    answer = await system.other_tenant.ask(question)
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_REFUSED
    assert not answer.answer.sources
