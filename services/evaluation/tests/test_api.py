"""The contract, over a real channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as pb
from plumbline.evaluation.v1.evaluation_service_pb2_grpc import (
    EvaluationServiceStub,
    add_EvaluationServiceServicer_to_server,
)
from plumbline_evaluation.api import SCOPES, EvaluationService
from plumbline_evaluation.handlers import EvaluateAnswer, GetEvaluation, RecordEvaluation
from plumbline_evaluation.testing import MINIMUMS, QUESTION, FakeSimilarity, MemoryEvaluations, a_subject
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.testing import FakeClock, make_verifier, test_settings, token

TEXT = "The Aurora lamp costs 49 euros."
ANSWER = common_pb.Answer(
    text=TEXT,
    claims=[common_pb.Claim(start_offset=0, end_offset=len(TEXT), source_numbers=[1])],
    sources=[common_pb.Passage(title="Aurora", text="The lamp costs 49 euros.")],
    outcome=common_pb.ANSWER_OUTCOME_ANSWERED,
)


@asynccontextmanager
async def serving(store: MemoryEvaluations | None = None, **claims: str) -> AsyncIterator[EvaluationServiceStub]:
    """A stub of a server on *store*, whose caller's token holds *claims*."""
    evaluate = EvaluateAnswer(FakeSimilarity(), MINIMUMS, FakeClock())
    server = Server(test_settings("evaluation"), make_verifier(), scopes=SCOPES)
    service = EvaluationService(evaluate, GetEvaluation(store or MemoryEvaluations()))
    add_EvaluationServiceServicer_to_server(service, server.grpc)
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", token=token(**claims))
    try:
        yield EvaluationServiceStub(channel)
    finally:
        await channel.close()
        await server.stop(0)


async def stored() -> MemoryEvaluations:
    """A store that holds the evaluation of acme's answer-1."""
    store = MemoryEvaluations()
    record = RecordEvaluation(EvaluateAnswer(FakeSimilarity(), MINIMUMS, FakeClock()), store)
    await record(a_subject(), event_id="event-1")
    return store


async def test_an_answer_is_measured_without_being_kept() -> None:
    store = MemoryEvaluations()
    async with serving(store) as evaluation:
        reply = await evaluation.EvaluateAnswer(pb.EvaluateAnswerRequest(question=QUESTION, answer=ANSWER), timeout=10)
    found = {score.name: (score.value, score.label) for score in reply.evaluation.scores}
    assert found["citation_validity"] == (1.0, pb.SCORE_LABEL_PASS)
    assert reply.evaluation.verdict == pb.VERDICT_PASSED
    assert reply.evaluation.evaluate_time.ToDatetime() == FakeClock().now().replace(tzinfo=None)
    assert store.announced == []


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.EvaluateAnswerRequest(question=" ", answer=ANSWER), "question"),
        (pb.EvaluateAnswerRequest(question=QUESTION), "answer.text"),
    ],
)
async def test_an_empty_question_or_answer_is_refused_by_name(
    request_message: pb.EvaluateAnswerRequest, field: str
) -> None:
    async with serving() as evaluation:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await evaluation.EvaluateAnswer(request_message, timeout=10)
    violations = BadRequest()
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert rpc_status.from_call(failure.value).details[0].Unpack(violations)
    assert violations.field_violations[0].field == field


async def test_a_tenant_finds_its_own_evaluation() -> None:
    async with serving(await stored()) as evaluation:
        reply = await evaluation.GetEvaluation(pb.GetEvaluationRequest(answer_id="answer-1"), timeout=10)
    assert reply.evaluation.verdict == pb.VERDICT_PASSED
    assert len(reply.evaluation.scores) == 4


@pytest.mark.parametrize(
    ("claims", "answer_id", "away", "code"),
    [
        pytest.param({"tenant": "globex"}, "answer-1", False, grpc.StatusCode.NOT_FOUND, id="another_tenants_answer"),
        pytest.param({}, "answer-2", False, grpc.StatusCode.NOT_FOUND, id="no_evaluation_yet"),
        pytest.param({}, "", False, grpc.StatusCode.INVALID_ARGUMENT, id="no_answer_named"),
        pytest.param({"scopes": "ask"}, "answer-1", False, grpc.StatusCode.PERMISSION_DENIED, id="no_scope"),
        pytest.param({}, "answer-1", True, grpc.StatusCode.UNAVAILABLE, id="database_away"),
    ],
)
async def test_an_evaluation_is_not_given_out(
    claims: dict[str, str], answer_id: str, away: bool, code: grpc.StatusCode
) -> None:
    store = await stored()
    store.away = away
    async with serving(store, **claims) as evaluation:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await evaluation.GetEvaluation(pb.GetEvaluationRequest(answer_id=answer_id), timeout=10)
    assert failure.value.code() == code
