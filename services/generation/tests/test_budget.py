"""Budgets over the rpcs: with 50 streams at once on PostgreSQL, used up, condensing, on several endpoints."""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_generation.adapters.memory_ledger import MemoryLedger
from plumbline_generation.adapters.postgres_ledger import PostgresLedger
from plumbline_generation.domain.budget import Budgets, BudgetSettings
from plumbline_generation.domain.routing import EndpointSettings, Leg, RouteSettings
from plumbline_kit.errors import Exhausted, Unavailable
from plumbline_kit.release import Release
from plumbline_kit.rpc import translate
from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM

Serving = Callable[..., Any]
TEXT = "The Aurora desk lamp costs 49 euros."
PASSAGE = common_pb.Passage(ref={"document_id": "lamp", "version": 3}, title="Aurora desk lamp", text=TEXT)
STREAMS = 50


def budget_of(tokens: float) -> BudgetSettings:
    return BudgetSettings(Budgets(of_tenants={"acme": tokens}))


def a_request(release: Release) -> pb.GenerateAnswerRequest:
    return pb.GenerateAnswerRequest(
        answer_id=str(uuid.uuid4()),
        question="How much does the Aurora desk lamp cost?",
        passages=[PASSAGE],
        release=common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id),
    )


async def completed(service: Any, release: Release) -> pb.AnswerCompleted:
    *_, last = [message async for message in service.stub.GenerateAnswer(a_request(release), timeout=30)]
    return last.completed


async def left(service: Any) -> pb.GetBudgetResponse:
    return await service.stub.GetBudget(pb.GetBudgetRequest(), timeout=10)


async def all_settled(service: Any) -> pb.GetBudgetResponse:
    async def settled() -> pb.GetBudgetResponse | None:
        budget = await left(service)
        return None if budget.reserved_tokens else budget

    return await eventually(settled)


async def test_fifty_streams_on_two_replicas_use_a_budget_up_and_no_more_than_that(
    serving: Serving, release: Release, database: str
) -> None:
    """They ask until they are told that it is used up; what the server counted is what the ledger says."""
    tokens, billed = 40_000, 0
    llm = FakeLLM(script=lambda _: f"{TEXT} " * 5, first_token_seconds=0.5)

    async def ask_until_used_up(service: Any) -> None:
        nonlocal billed
        while True:
            done = await completed(service, release)
            if done.record.attempts[-1].outcome == pb.ATTEMPT_OUTCOME_OVER_BUDGET:
                assert done.answer.outcome == common_pb.ANSWER_OUTCOME_DEGRADED
                return
            billed += done.record.prompt_tokens + done.record.completion_tokens

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(llm)
        route = RouteSettings((Leg(EndpointSettings("only", llm.base_url, concurrency=STREAMS)),))
        ledgers = [PostgresLedger(database) for _ in range(2)]
        for ledger in ledgers:
            stack.push_async_callback(ledger.aclose)
        replicas = [
            await stack.enter_async_context(serving(route=route, budget=budget_of(tokens), ledger=ledger))
            for ledger in ledgers
        ]
        await asyncio.gather(*(ask_until_used_up(replicas[number % 2]) for number in range(STREAMS)))
        budget = await all_settled(replicas[0])
    assert llm.most_at_once > STREAMS / 2
    assert budget.used_tokens == billed
    assert 0.99 * tokens <= budget.used_tokens <= tokens


async def test_a_used_up_budget_leaves_an_extract_that_says_so(serving: Serving, release: Release) -> None:
    async with serving(budget=budget_of(5)) as service:
        done = await completed(service, release)
        assert service.model.requests == []
    assert (done.answer.outcome, done.answer.text) == (common_pb.ANSWER_OUTCOME_DEGRADED, TEXT)
    assert done.record.reason == "today's token budget is used up"
    [attempt] = done.record.attempts
    assert attempt.outcome == pb.ATTEMPT_OUTCOME_OVER_BUDGET


async def test_a_release_may_want_no_answer_where_the_budget_is_used_up(serving: Serving, release: Release) -> None:
    strict = replace(release, model=replace(release.model, over_budget="fail"))
    async with serving(release=strict, budget=budget_of(5)) as service:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await completed(service, strict)
    error = translate(failure.value)
    assert isinstance(error, Exhausted)
    assert (str(error), error.reason) == ("today's token budget is used up", "OVER_BUDGET")
    assert 0 < error.retry_after <= 24 * 3600


async def test_no_other_endpoint_is_asked_where_the_budget_is_used_up(serving: Serving, release: Release) -> None:
    async with FakeLLM() as first, FakeLLM() as second:
        legs = [Leg(EndpointSettings(name, one.base_url)) for name, one in (("one", first), ("two", second))]
        async with serving(route=RouteSettings(tuple(legs)), budget=budget_of(5)) as service:
            done = await completed(service, release)
    assert [one.endpoint for one in done.record.attempts] == ["one"]


async def test_a_failed_call_and_the_one_in_its_place_both_count(serving: Serving, release: Release) -> None:
    async with FakeLLM() as broken, FakeLLM() as well:
        legs = [Leg(EndpointSettings(name, one.base_url)) for name, one in (("one", broken), ("two", well))]
        async with serving(route=RouteSettings(tuple(legs)), budget=budget_of(10_000)) as service:
            with broken.failing(drop_after=0):
                done = await completed(service, release)
            budget = await all_settled(service)
    assert budget.used_tokens == 2 * done.record.prompt_tokens + done.record.completion_tokens


async def test_what_an_overtaken_call_read_counts_too(serving: Serving, release: Release) -> None:
    async with FakeLLM(first_token_seconds=5) as slow, FakeLLM() as fast:
        legs = tuple(Leg(EndpointSettings(name, one.base_url)) for name, one in (("one", slow), ("two", fast)))
        async with serving(route=RouteSettings(legs, hedge_seconds=0.05), budget=budget_of(10_000)) as service:
            done = await completed(service, release)
            budget = await all_settled(service)
    assert budget.used_tokens == 2 * done.record.prompt_tokens + done.record.completion_tokens


async def test_condensing_a_question_takes_tokens_of_its_caller(serving: Serving, release: Release) -> None:
    asking = replace(release, conversation=replace(release.conversation, method="model"))
    turns = [common_pb.Turn(role=common_pb.TURN_ROLE_USER, text="How much does the Aurora desk lamp cost?")]
    request = pb.CondenseQuestionRequest(
        question="And how heavy is it?", turns=turns, release=a_request(asking).release
    )
    async with serving(release=asking, budget=budget_of(10_000)) as service:
        condensed = await service.stub.CondenseQuestion(request, timeout=10)
        budget = await all_settled(service)
    assert budget.used_tokens == condensed.prompt_tokens + condensed.completion_tokens > 0


async def test_without_a_budget_there_is_no_bound(serving: Serving, release: Release) -> None:
    async with serving() as service:
        await completed(service, release)
        budget = await left(service)
    assert not budget.HasField("tokens_per_day")
    assert budget.used_tokens == 0
    assert budget.reset_time.ToDatetime().hour == 0


class AwayLedger(MemoryLedger):
    """Always away."""

    async def reserve(self, *what: Any, **more: Any) -> Any:
        """See `Ledger`."""
        raise Unavailable("away")

    async def spent(self, *what: Any) -> Any:
        """See `Ledger`."""
        raise Unavailable("away")


@pytest.mark.parametrize(
    ("fails_open", "outcome", "reason"),
    [
        (True, common_pb.ANSWER_OUTCOME_ANSWERED, ""),
        (False, common_pb.ANSWER_OUTCOME_DEGRADED, "the token budget could not be looked at"),
    ],
)
async def test_a_ledger_that_is_away_is_seen(
    serving: Serving, release: Release, fails_open: bool, outcome: Any, reason: str
) -> None:
    budget = BudgetSettings(Budgets(10_000), fails_open=fails_open)
    async with serving(budget=budget, ledger=AwayLedger()) as service:
        done = await completed(service, release)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await left(service)
    assert (done.answer.outcome, done.record.reason) == (outcome, reason)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
