"""`AnswerGenerator` and `QuestionCondenser` on the generation service."""

from collections.abc import AsyncGenerator

import grpc

from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from plumbline_gateway.domain import Asked, Assignment, Claim, Generated, Question, ReleaseRef, Spending
from plumbline_gateway.translation import (
    answer_from_proto,
    claim_from_proto,
    condensation_from_proto,
    condensation_to_proto,
    passage_to_proto,
    release_to_proto,
    turn_to_proto,
)
from plumbline_kit.errors import Unavailable
from plumbline_kit.rpc import current_call, translate

CONDENSING_SHARE = 0.25
"""Of the caller's time that condensing may take: without it the question is still answered."""
Took = pb.GenerationRecord | pb.CondenseQuestionResponse


class GrpcQuestionCondenser:
    """Asks generation, and takes the question as it comes back."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = GenerationServiceStub(channel)

    async def condense(self, question: Question, release: ReleaseRef) -> Asked:
        """See `QuestionCondenser`."""
        request = pb.CondenseQuestionRequest(
            question=question.text, turns=map(turn_to_proto, question.turns), release=release_to_proto(release)
        )
        try:
            timeout = CONDENSING_SHARE * current_call().remaining()
            response = await self._stub.CondenseQuestion(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        condensation = condensation_from_proto(response.condensation)
        if not condensation.standalone.strip():
            raise Unavailable("generation condensed a question to nothing")
        return Asked(condensation.standalone, condensation, _spending(response))


class GrpcAnswerGenerator:
    """Leaves *reserve_seconds* of the caller's time, so that an answer can still be given when generation hangs."""

    def __init__(self, channel: grpc.aio.Channel, *, reserve_seconds: float) -> None:
        self._stub = GenerationServiceStub(channel)
        self._reserve_seconds = reserve_seconds

    async def generate(self, assignment: Assignment) -> AsyncGenerator[str | Claim | Generated, None]:
        """See `AnswerGenerator`."""
        timeout = max(0.0, current_call().remaining() - self._reserve_seconds)
        call = self._stub.GenerateAnswer(_request(assignment), timeout=timeout)
        finished = False
        try:
            async for message in call:  # to its end, which ends the call well: leaving early would cancel it
                finished = message.HasField("completed")
                if (piece := _piece(message)) is not None:
                    yield piece
        except grpc.aio.AioRpcError as error:
            if not finished:
                raise translate(error) from error
        finally:
            call.cancel()
        if not finished:
            raise Unavailable("generation ended without a completed answer")


def _request(assignment: Assignment) -> pb.GenerateAnswerRequest:
    return pb.GenerateAnswerRequest(
        answer_id=assignment.answer_id,
        question=assignment.question,
        passages=map(passage_to_proto, assignment.passages),
        release=release_to_proto(assignment.release),
        condensation=condensation_to_proto(assignment.condensation),
        json_schema=assignment.json_schema,
        samples=assignment.samples,
        audited_answer_id=assignment.audited_answer_id,
    )


def _piece(message: pb.GenerateAnswerResponse) -> str | Claim | Generated | None:
    """None where it says nothing that a reader waits for."""
    if message.HasField("completed"):
        return _generated(message.completed)
    if message.HasField("claim"):
        return claim_from_proto(message.claim)
    return message.text_delta if message.HasField("text_delta") else None


def _generated(completed: pb.AnswerCompleted) -> Generated:
    record = completed.record
    return Generated(
        answer_from_proto(completed.answer),
        record.model,
        record.reason,
        completed.recorded,
        _spending(record),
        len(record.consistency.samples),
        record.consistency.agreement if record.consistency.HasField("agreement") else None,
    )


def _spending(took: Took) -> Spending:
    costs = {took.cost.currency_code: took.cost.amount} if took.HasField("cost") else {}
    if isinstance(took, pb.GenerationRecord):
        costs |= {cost.currency_code: cost.amount for cost in took.further_costs}
    return Spending(costs, took.prompt_tokens, took.completion_tokens, len(took.attempts))
