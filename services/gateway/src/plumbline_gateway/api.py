"""gRPC in: a question to the use case, its events to the caller."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.gateway.v1.gateway_service_pb2_grpc import GatewayServiceServicer
from plumbline.generation.v1 import generation_service_pb2 as generation_pb
from plumbline_gateway.domain import (
    Caller,
    Claimed,
    Completed,
    Delta,
    Event,
    Freshness,
    Generated,
    Hit,
    Question,
    Started,
)
from plumbline_gateway.handlers import AskQuestion
from plumbline_gateway.translation import (
    ORIGINS_TO_PROTO,
    answer_to_proto,
    claim_to_proto,
    condensation_to_proto,
    release_to_proto,
    saving_to_proto,
    turns_from_proto,
)
from plumbline_kit.rpc import current_call

SCOPES = {"/plumbline.gateway.v1.GatewayService/Ask": "ask"}
DEFAULT_APPLICATION = "default"

_FRESHNESS = {
    pb.FRESHNESS_EVENTUAL: Freshness.EVENTUAL,
    pb.FRESHNESS_STRICT: Freshness.STRICT,
    pb.FRESHNESS_BYPASS: Freshness.BYPASS,
}


class GatewayService(GatewayServiceServicer):
    """The front door's rpc."""

    def __init__(self, ask: AskQuestion) -> None:
        self._ask = ask

    async def Ask(
        self, request: pb.AskRequest, context: "grpc.aio.ServicerContext[pb.AskRequest, pb.AskResponse]"
    ) -> AsyncIterator[pb.AskResponse]:
        """Stream the answer."""
        question = Question(
            request.question,
            request.application_id or DEFAULT_APPLICATION,
            _FRESHNESS.get(request.freshness),
            turns_from_proto(request.turns),
            request.json_schema,
            request.samples,
        )
        call = current_call()
        caller = Caller(call.identity.tenant, call.identity.groups)
        async with aclosing(self._ask(question, caller, call.remaining())) as events:
            async for event in events:
                yield _to_proto(event)


def _to_proto(event: Event) -> pb.AskResponse:
    match event:
        case Delta(text):
            return pb.AskResponse(text_delta=text)
        case Claimed(claim):
            return pb.AskResponse(claim=claim_to_proto(claim))
        case Started(answer_id, release):
            return pb.AskResponse(started=pb.AskStarted(answer_id=answer_id, release=release_to_proto(release)))
        case Completed():
            return pb.AskResponse(completed=_completed(event))


def _completed(done: Completed) -> pb.AskCompleted:
    spending = done.spending
    message = pb.AskCompleted(
        answer_id=done.answer_id,
        answer=answer_to_proto(done.result.answer),
        origin=ORIGINS_TO_PROTO[done.result.origin],
        release=release_to_proto(done.release),
        cached_answer_id=done.result.cached_answer_id,
        coalesced_with=done.result.coalesced_with,
        model=done.result.model,
        reason=done.result.reason,
        recorded=done.result.recorded,
        condensation=condensation_to_proto(done.asked.condensation),
        costs=[generation_pb.Cost(currency_code=name, amount=amount) for name, amount in spending.costs.items()],
        prompt_tokens=spending.prompt_tokens,
        completion_tokens=spending.completion_tokens,
        attempt_count=spending.attempts,
    )
    if isinstance(done.result, Generated):
        message.sample_count = done.result.samples
        if done.result.agreement is not None:
            message.agreement = done.result.agreement
    if isinstance(done.result, Hit):
        message.saved.CopyFrom(saving_to_proto(done.result.saving))
    message.total_time.FromNanoseconds(round(done.total_seconds * 1e9))
    return message
