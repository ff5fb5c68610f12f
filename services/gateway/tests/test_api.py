"""The contract, over a real channel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub, add_GatewayServiceServicer_to_server
from plumbline_gateway.api import SCOPES, GatewayService
from plumbline_gateway.domain import Claim, Evidence, Generated, Hit, Lookup, Saving, Spending, Tier
from plumbline_gateway.testing import FakeCache, FakeGenerator, FakeSearch, an_answer
from plumbline_gateway.translation import answer_to_proto, claim_to_proto, kept_from_proto
from plumbline_kit.errors import Unavailable
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.testing import make_verifier, test_settings, token

Door = Callable[..., Any]
SAID = common_pb.Turn(role=common_pb.TURN_ROLE_USER, text="How much is the Aurora desk lamp?")


@asynccontextmanager
async def serving(door: Any, bearer: str | None = None) -> AsyncIterator[GatewayServiceStub]:
    """A stub of a server that answers with *door*."""
    server = Server(test_settings("gateway"), make_verifier(), scopes=SCOPES)
    add_GatewayServiceServicer_to_server(GatewayService(door.use_case), server.grpc)
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", token=token() if bearer is None else bearer)
    try:
        yield GatewayServiceStub(channel)
    finally:
        await channel.close()
        await server.stop(0)


async def ask(door: Any, bearer: str | None = None, **fields: Any) -> list[pb.AskResponse]:
    request = pb.AskRequest(**{"question": "What does the Aurora cost?"} | fields)
    async with serving(door, bearer) as gateway:
        return [message async for message in gateway.Ask(request, timeout=10)]


async def failure_of(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value


async def test_an_answer_streams_and_ends_with_its_sources(front_door: Door) -> None:
    messages = await ask(front_door())
    assert [message.WhichOneof("event") for message in messages] == ["started", "text_delta", "text_delta", "completed"]
    done = messages[-1].completed
    assert (done.answer_id, done.origin, done.recorded) == ("answer-1", pb.ANSWER_ORIGIN_GENERATED, True)
    assert done.answer.sources[0].ref.document_id == "lamp"
    assert done.answer.claims[0].source_numbers == [1]
    assert messages[0].started.release == done.release


async def test_a_claim_passes_as_it_came_and_whatever_its_status(front_door: Door) -> None:
    claim = Claim(0, 18, (1,), 0.8, 77, (Evidence(1, 4, 40),))
    messages = await ask(front_door(generator=FakeGenerator(deltas=("It costs 49 euros.", claim))))
    assert [message.WhichOneof("event") for message in messages] == ["started", "text_delta", "claim", "completed"]
    assert messages[2].claim == claim_to_proto(claim)


async def test_a_cached_answer_names_the_answer_it_repeats(front_door: Door) -> None:
    saving = Saving(Spending({"EUR": 0.02}, 170, 40), 1.5)
    cache = FakeCache(Lookup(Hit("answer-0", kept_from_proto(answer_to_proto(an_answer())), Tier.EXACT, saving=saving)))
    done = (await ask(front_door(cache=cache), freshness=pb.FRESHNESS_STRICT))[-1].completed
    assert (done.origin, done.cached_answer_id) == (pb.ANSWER_ORIGIN_CACHED, "answer-0")
    assert (done.saved.prompt_tokens, done.saved.completion_tokens) == (170, 40)
    assert [(cost.currency_code, cost.amount) for cost in done.saved.costs] == [("EUR", 0.02)]
    assert done.saved.time.ToTimedelta().total_seconds() == 1.5
    assert (done.prompt_tokens, list(done.costs)) == (0, [])


async def test_bypass_reaches_the_use_case(front_door: Door) -> None:
    door = front_door()
    await ask(door, freshness=pb.FRESHNESS_BYPASS)
    assert not door.cache.questions


async def test_a_question_of_a_conversation_says_what_it_became_and_what_it_cost(front_door: Door) -> None:
    spending = Spending({"EUR": 0.002}, 90, 9, 2)
    door = front_door(generator=FakeGenerator(generated=Generated(an_answer(), "m", spending=spending)))
    done = (await ask(door, question="And how heavy is it?", turns=[SAID]))[-1].completed
    assert done.condensation == common_pb.Condensation(
        original_question="And how heavy is it?",
        standalone_question=door.condenser.standalone,
        method=common_pb.CONDENSATION_METHOD_RULE,
        conversation=door.cache.conversations[0],
    )
    assert [(cost.currency_code, cost.amount) for cost in done.costs] == [("EUR", 0.002)]
    assert (done.prompt_tokens, done.completion_tokens, done.attempt_count) == (90, 9, 2)


async def test_without_a_conversation_nothing_was_condensed(front_door: Door) -> None:
    assert not (await ask(front_door()))[-1].completed.HasField("condensation")


async def test_a_turn_that_is_nobodys_is_refused(front_door: Door) -> None:
    error = await failure_of(ask(front_door(), turns=[SAID, common_pb.Turn(text="Obey.")]))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "turns[1].role" in str(error.details())


@pytest.mark.parametrize("question", ["", "x" * 100_000], ids=["empty", "100 kB"])
async def test_a_wrong_question_says_which_field_is_wrong(front_door: Door, question: str) -> None:
    error = await failure_of(ask(front_door(), question=question))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    violations = BadRequest()
    assert rpc_status.from_call(error).details[0].Unpack(violations)
    assert violations.field_violations[0].field == "question"


async def test_an_unknown_application_is_not_found(front_door: Door) -> None:
    assert (await failure_of(ask(front_door(), application_id="shop"))).code() == grpc.StatusCode.NOT_FOUND


async def test_without_documents_the_answer_is_unavailable(front_door: Door) -> None:
    door = front_door(search=FakeSearch(error=Unavailable("away")))
    assert (await failure_of(ask(door))).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_caller_without_a_token_is_unauthenticated(front_door: Door) -> None:
    assert (await failure_of(ask(front_door(), bearer=""))).code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_without_the_scope_is_denied(front_door: Door) -> None:
    bearer = token(scopes="documents.read")
    assert (await failure_of(ask(front_door(), bearer=bearer))).code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_caller_that_cancels_stops_the_writing(front_door: Door) -> None:
    door = front_door()
    written = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "more "
                await asyncio.sleep(0)
        finally:
            written.set()

    door.generator.generate = lambda assignment: endless()
    async with serving(door) as gateway:
        call = gateway.Ask(pb.AskRequest(question="Why?"), timeout=10)
        async for message in call:
            if message.text_delta:
                break
        call.cancel()
        await asyncio.wait_for(written.wait(), 5)
    assert not door.announcer.told
