"""Bad input and parts that go away: each has a defined answer."""

import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_kit.rpc import open_channel
from plumbline_kit.testing import eventually
from tests.conftest import System
from tests.driver import Driver


@asynccontextmanager
async def frozen(system: System, part: str) -> AsyncIterator[None]:
    """*part* takes calls and answers none, as a machine that hangs."""
    system.supervisor.kill(part, signal.SIGSTOP)
    try:
        yield
    finally:
        system.supervisor.kill(part, signal.SIGCONT)


async def a_new_lamp(driver: Driver) -> tuple[str, str]:
    """Name of a lamp whose document is searchable, and a question about it."""
    name = f"Zephyr{uuid.uuid4().hex[:8]}"
    await driver.submit_and_wait(name, name, f"The {name} lamp costs 41 euros.")
    return name, f"How much does the {name} lamp cost?"


async def refusal(driver: Driver, question: str) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await driver.ask(question)
    return failure.value


@pytest.mark.parametrize("question", ["", "  \n", "x" * 100_000], ids=["empty", "blank", "100 kB"])
async def test_a_question_that_cannot_be_asked_is_the_callers_to_change(system: System, question: str) -> None:
    error = await refusal(system.driver, question)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "question" in error.details()


@pytest.mark.parametrize("token", ["", "not a token"], ids=["none", "garbled"])
async def test_a_call_without_a_valid_token_is_unauthenticated(system: System, token: str) -> None:
    error = await refusal(Driver(system.layout.address, token), "What does it cost?")
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_without_the_scope_is_denied(system: System) -> None:
    reader = system.caller(tenant="acme", scopes="documents.read")
    error = await refusal(reader, "What does it cost?")
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_an_unknown_document_is_not_found(system: System) -> None:
    request = retrieval_pb.GetDocumentRequest(document_id="nobody/knows/it")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await system.driver.retrieval.GetDocument(request, timeout=5)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_model_that_fails_leaves_a_degraded_answer_with_its_source(system: System) -> None:
    name, question = await a_new_lamp(system.driver)
    with system.model.failing(status=500):
        answer = await system.driver.ask(question)
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_DEGRADED
    assert "41" in answer.answer.text
    assert answer.answer.sources[0].ref.document_id == name
    assert answer.reason


async def test_without_generation_the_answer_is_an_extract_and_says_so(system: System) -> None:
    name, question = await a_new_lamp(system.driver)
    await system.supervisor.stop({"generation"})
    try:
        answer = await system.driver.ask(question)
    finally:
        await system.start_services()
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_DEGRADED
    assert not answer.recorded
    assert answer.answer.sources[0].ref.document_id == name


async def test_without_the_cache_questions_are_still_answered(system: System) -> None:
    _, question = await a_new_lamp(system.driver)
    await system.supervisor.stop({"cache"})
    try:
        answer = await system.driver.ask(question)
    finally:
        await system.start_services()
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_GENERATED


async def test_without_retrieval_the_caller_is_told_to_come_back(system: System) -> None:
    await system.supervisor.stop({"retrieval"})
    try:
        error = await refusal(system.driver, f"What does lamp {uuid.uuid4()} cost?")
    finally:
        await system.start_services()
    assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_while_the_broker_hangs_answers_flow_and_documents_are_refused(system: System) -> None:
    name, question = await a_new_lamp(system.driver)
    submission = retrieval_pb.SubmitDocumentRequest(document=retrieval_pb.Document(document_id=name, text="Sold out."))
    trying_once = RetrievalServiceStub(open_channel(system.layout.address("retrieval"), token=system.driver.token))
    async with frozen(system, "kafka"):
        answer = await system.driver.ask(question)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await trying_once.SubmitDocument(submission, timeout=20)
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_GENERATED
    assert not answer.recorded
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_while_the_database_hangs_answers_flow_and_their_evaluation_follows(system: System) -> None:
    _, question = await a_new_lamp(system.driver)
    async with frozen(system, "postgres"):
        answer = await system.driver.ask(question)
    assert answer.recorded
    await eventually(lambda: system.driver.evaluation_of(answer.answer_id), seconds=60)
