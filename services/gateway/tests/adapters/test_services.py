"""The adapters against real servers that speak the other services' contracts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceServicer, add_CacheServiceServicer_to_server
from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as generation_pb
from plumbline.generation.v1.generation_service_pb2_grpc import (
    GenerationServiceServicer,
    add_GenerationServiceServicer_to_server,
)
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import (
    RetrievalServiceServicer,
    add_RetrievalServiceServicer_to_server,
)
from plumbline_gateway.adapters.cache import GrpcAnswerCache
from plumbline_gateway.adapters.generation import GrpcAnswerGenerator, GrpcQuestionCondenser
from plumbline_gateway.adapters.retrieval import GrpcPassageSearch
from plumbline_gateway.domain import (
    Assignment,
    Claim,
    Condensation,
    Embedding,
    Evidence,
    Generated,
    Hit,
    Method,
    Question,
    ReleaseRef,
    Role,
    Spending,
    Tier,
    Turn,
)
from plumbline_gateway.testing import a_passage, an_answer
from plumbline_gateway.translation import (
    answer_to_proto,
    claim_to_proto,
    kept_from_proto,
    passage_from_proto,
    passage_to_proto,
)
from plumbline_kit.errors import DeadlineExceeded, Invalid, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.rpc import Call, current_call, open_channel
from plumbline_kit.rpc.call import enter

RELEASE = ReleaseRef("default", "abc")
KEPT = kept_from_proto(answer_to_proto(an_answer()))
CONVERSATION = Question("And its weight?", "default", turns=(Turn(Role.USER, "The lamp?"),))


@dataclass
class Cache(CacheServiceServicer):
    """Answers with *response*, or never; the question *held* when it may."""

    response: cache_pb.LookupAnswerResponse | None = None
    requests: list[cache_pb.LookupAnswerRequest] = field(default_factory=list)
    held: str = ""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def LookupAnswer(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.requests.append(request)
        if self.response is None or request.question == self.held:
            await self.may_answer.wait()
        return self.response


@dataclass
class Retrieval(RetrievalServiceServicer):
    """Finds *passages*; *changed* sources are not current."""

    passages: Sequence[common_pb.Passage] = ()
    changed: Sequence[common_pb.PassageRef] = ()
    code: grpc.StatusCode | None = None
    requests: list[Any] = field(default_factory=list)

    async def SearchPassages(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.requests.append(request)
        if self.code:
            await context.abort(self.code, "no")
        return retrieval_pb.SearchPassagesResponse(passages=self.passages)

    async def VerifySources(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.requests.append(request)
        return retrieval_pb.VerifySourcesResponse(changed_sources=self.changed)


@dataclass
class Generation(GenerationServiceServicer):
    """Streams *responses*, then ends, fails, or waits until it may end; condenses to *condensed*."""

    responses: Sequence[generation_pb.GenerateAnswerResponse] = ()
    code: grpc.StatusCode | None = None
    hangs: bool = False
    condensed: generation_pb.CondenseQuestionResponse = field(default_factory=generation_pb.CondenseQuestionResponse)
    requests: list[Any] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    ended_well: bool = False

    async def CondenseQuestion(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.requests.append(request)
        if self.hangs:
            await self.may_end.wait()
        return self.condensed

    async def GenerateAnswer(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.requests.append(request)
        try:
            for response in self.responses:
                yield response
            if self.hangs:
                await self.may_end.wait()
            if self.code:
                await context.abort(self.code, "no")
            self.ended_well = True
        finally:
            self.ended.set()


@asynccontextmanager
async def channel_to(servicer: Any, add: Callable[[Any, grpc.aio.Server], None]) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield channel
    finally:
        await channel.close()
        await server.stop(0)


@asynccontextmanager
async def cache_of(
    servicer: Cache, limit_seconds: float = 5.0, seconds: float = 40.0
) -> AsyncIterator[GrpcAnswerCache]:
    enter(Call(Identity("acme", "tester"), "request-1", time.monotonic() + seconds, "token"))
    async with channel_to(servicer, add_CacheServiceServicer_to_server) as channel:
        yield GrpcAnswerCache(channel, limit_seconds=limit_seconds)


@asynccontextmanager
async def search_of(servicer: Retrieval) -> AsyncIterator[GrpcPassageSearch]:
    async with channel_to(servicer, add_RetrievalServiceServicer_to_server) as channel:
        yield GrpcPassageSearch(channel)


@asynccontextmanager
async def generator_of(servicer: Generation) -> AsyncIterator[GrpcAnswerGenerator]:
    enter(Call(Identity("acme", "tester"), "request-1", time.monotonic() + 10, "token"))
    async with channel_to(servicer, add_GenerationServiceServicer_to_server) as channel:
        yield GrpcAnswerGenerator(channel, reserve_seconds=0.25)


@asynccontextmanager
async def condenser_of(servicer: Generation) -> AsyncIterator[GrpcQuestionCondenser]:
    enter(Call(Identity("acme", "tester"), "request-1", time.monotonic() + 2, "token"))
    async with channel_to(servicer, add_GenerationServiceServicer_to_server) as channel:
        yield GrpcQuestionCondenser(channel)


def delta(text: str) -> generation_pb.GenerateAnswerResponse:
    return generation_pb.GenerateAnswerResponse(text_delta=text)


def finished() -> generation_pb.GenerateAnswerResponse:
    record = generation_pb.GenerationRecord(model="small-model", reason="why")
    done = generation_pb.AnswerCompleted(answer=answer_to_proto(an_answer()), record=record, recorded=True)
    return generation_pb.GenerateAnswerResponse(completed=done)


def assignment() -> Assignment:
    return Assignment("answer-1", "Why?", (a_passage(),), RELEASE)


async def test_a_hit_comes_back_with_its_answer() -> None:
    hit = cache_pb.CacheHit(answer_id="answer-0", answer=answer_to_proto(an_answer()), tier=cache_pb.CACHE_TIER_EXACT)
    hit.saving.prompt_tokens = 170
    servicer = Cache(cache_pb.LookupAnswerResponse(hit=hit))
    async with cache_of(servicer) as cache:
        lookup = await cache.lookup("Why?", RELEASE, "")
    assert lookup.hit is not None
    assert (lookup.hit.cached_answer_id, lookup.hit.answer, lookup.hit.tier) == ("answer-0", KEPT, Tier.EXACT)
    assert lookup.hit.saving.spending.prompt_tokens == 170
    assert lookup.embedding is None
    assert servicer.requests[0].release.release_id == "abc"


async def test_a_miss_comes_back_with_its_reason_and_the_vector() -> None:
    vector = common_pb.Embedding(encoder_id="encoder", values=[0.5, 0.25])
    response = cache_pb.LookupAnswerResponse(miss_reason=cache_pb.MISS_REASON_STALE, embedding=vector)
    async with cache_of(Cache(response)) as cache:
        lookup = await cache.lookup("Why?", RELEASE, "")
    assert lookup.hit is None
    assert lookup.miss_reason == "stale"
    assert lookup.embedding is not None
    assert (lookup.embedding.encoder_id, list(lookup.embedding.values)) == ("encoder", [0.5, 0.25])


async def test_a_hit_that_is_withheld_comes_back_with_the_miss_and_tells_what_it_was_found_by() -> None:
    hit = cache_pb.CacheHit(
        entry_id="entry-0",
        answer_id="answer-0",
        question="How come?",
        answer=answer_to_proto(an_answer()),
        tier=cache_pb.CACHE_TIER_SEMANTIC,
        similarity=0.97,
        scope_key="key",
    )
    response = cache_pb.LookupAnswerResponse(miss_reason=cache_pb.MISS_REASON_SWITCHED_OFF, withheld=hit)
    async with cache_of(Cache(response)) as cache:
        lookup = await cache.lookup("Why?", RELEASE, "")
    assert (lookup.hit, lookup.miss_reason) == (None, "switched_off")
    assert lookup.withheld == Hit("answer-0", KEPT, Tier.SEMANTIC, "entry-0", 0.97, "How come?", "key")


async def test_a_cache_that_answers_nobody_is_given_up_after_its_limit() -> None:
    async with cache_of(Cache(response=None), limit_seconds=0.05) as cache:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await cache.lookup("Why?", RELEASE, "")
    assert time.monotonic() - began < 2


async def test_a_cache_that_answers_others_is_waited_for() -> None:
    servicer = Cache(cache_pb.LookupAnswerResponse(), held="Why?")
    async with cache_of(servicer, limit_seconds=0.3) as cache:
        began = time.monotonic()
        waiting = asyncio.create_task(cache.lookup("Why?", RELEASE, ""))
        while time.monotonic() - began < 0.7:
            await cache.lookup("How?", RELEASE, "")
        servicer.may_answer.set()
        assert (await waiting).hit is None


async def test_no_lookup_takes_more_than_a_share_of_the_callers_time() -> None:
    async with cache_of(Cache(response=None), seconds=0.4) as cache:
        with pytest.raises(DeadlineExceeded):
            await cache.lookup("Why?", RELEASE, "")
        assert current_call().remaining() > 0


async def test_a_cache_that_is_away_is_unavailable() -> None:
    enter(Call(Identity("acme", "tester"), "request-1", time.monotonic() + 40, "token"))
    channel = open_channel("127.0.0.1:1")
    with pytest.raises(Unavailable):
        await GrpcAnswerCache(channel, limit_seconds=5.0).lookup("Why?", RELEASE, "")
    await channel.close()


async def test_a_search_sends_the_vector_and_brings_passages() -> None:
    servicer = Retrieval(passages=[passage_to_proto(a_passage())])
    async with search_of(servicer) as search:
        assert await search.search(["Why?", "How?"], 4, Embedding("encoder", [0.5, 0.25])) == (a_passage(),)
    [request] = servicer.requests
    assert request.more_queries == ["How?"]
    assert (request.query, request.page_size, list(request.embedding.values)) == ("Why?", 4, [0.5, 0.25])


def test_all_that_is_told_of_a_passage_goes_through_the_gateway() -> None:
    told = passage_to_proto(a_passage())
    told.MergeFrom(
        common_pb.Passage(
            title_path=["Prices"],
            page=2,
            source_id="wiki",
            as_of_time={"seconds": 1_700_000_000},
            freshness=common_pb.FRESHNESS_STALE,
            trust=common_pb.SOURCE_TRUST_LOW,
            similarity=0.5,
        )
    )
    assert passage_to_proto(passage_from_proto(told)) == told


async def test_a_search_without_a_vector_sends_none() -> None:
    servicer = Retrieval()
    async with search_of(servicer) as search:
        assert await search.search(["Why?"], 4, None) == ()
    assert not servicer.requests[0].HasField("embedding")


async def test_a_refused_vector_is_invalid() -> None:
    async with search_of(Retrieval(code=grpc.StatusCode.INVALID_ARGUMENT)) as search:
        with pytest.raises(Invalid):
            await search.search(["Why?"], 4, Embedding("other", [1.0]))


@pytest.mark.parametrize("changed", [True, False])
async def test_sources_are_current_when_none_changed(changed: bool) -> None:
    ref = passage_to_proto(a_passage()).ref
    servicer = Retrieval(changed=[ref] if changed else [])
    async with search_of(servicer) as search:
        assert await search.all_current([a_passage().ref]) is not changed
    assert list(servicer.requests[0].sources) == [ref]


async def test_an_answer_is_generated_piece_by_piece() -> None:
    claim = Claim(0, 18, (1,), 0.8, 2, (Evidence(1, 4, 40),))
    told = generation_pb.GenerateAnswerResponse(claim=claim_to_proto(claim))
    servicer = Generation([delta("It costs "), delta("49 euros."), told, finished()])
    async with generator_of(servicer) as generator:
        pieces = [piece async for piece in generator.generate(assignment())]
    assert pieces == ["It costs ", "49 euros.", claim, Generated(an_answer(), "small-model", "why", True)]
    [request] = servicer.requests
    assert (request.answer_id, request.question, request.release.release_id) == ("answer-1", "Why?", "abc")
    assert request.passages[0] == passage_to_proto(a_passage())


async def test_generation_that_fails_while_writing_is_unavailable() -> None:
    async with generator_of(Generation([delta("It")], code=grpc.StatusCode.UNAVAILABLE)) as generator:
        pieces = generator.generate(assignment())
        assert await anext(pieces) == "It"
        with pytest.raises(Unavailable):
            await anext(pieces)


async def test_a_stream_that_ends_too_early_is_unavailable() -> None:
    async with generator_of(Generation([delta("It")])) as generator:
        with pytest.raises(Unavailable, match="without a completed answer"):
            _ = [piece async for piece in generator.generate(assignment())]


async def test_a_failure_after_the_completed_answer_is_no_failure_of_it() -> None:
    servicer = Generation([delta("It costs 49 euros."), finished()], code=grpc.StatusCode.UNAVAILABLE)
    async with generator_of(servicer) as generator:
        pieces = [piece async for piece in generator.generate(assignment())]
    assert isinstance(pieces[-1], Generated)


async def test_a_finished_call_ends_well_and_is_not_cancelled() -> None:
    servicer = Generation([delta("It costs 49 euros."), finished()], hangs=True)
    async with generator_of(servicer) as generator:
        async for piece in generator.generate(assignment()):
            if isinstance(piece, Generated):
                servicer.may_end.set()
        await asyncio.wait_for(servicer.ended.wait(), 5)
    assert servicer.ended_well


async def test_closing_the_generator_cancels_the_call() -> None:
    servicer = Generation([delta("It")], hangs=True)
    async with generator_of(servicer) as generator:
        pieces = generator.generate(assignment())
        await anext(pieces)
        await pieces.aclose()
        await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_a_condensed_question_comes_back_with_what_it_took() -> None:
    condensation = common_pb.Condensation(
        original_question="And its weight?",
        standalone_question="What does the lamp weigh?",
        method=common_pb.CONDENSATION_METHOD_MODEL,
    )
    cost = generation_pb.Cost(currency_code="EUR", amount=0.5)
    attempts = [generation_pb.ModelAttempt(endpoint="own")]
    servicer = Generation(
        condensed=generation_pb.CondenseQuestionResponse(
            condensation=condensation, cost=cost, attempts=attempts, prompt_tokens=90, completion_tokens=9
        )
    )
    async with condenser_of(servicer) as condenser:
        asked = await condenser.condense(CONVERSATION, RELEASE)
    assert asked.text == "What does the lamp weigh?"
    assert asked.condensation == Condensation("And its weight?", "What does the lamp weigh?", Method.MODEL)
    assert asked.spending == Spending({"EUR": 0.5}, 90, 9, 1)
    [request] = servicer.requests
    assert [(turn.role, turn.text) for turn in request.turns] == [(common_pb.TURN_ROLE_USER, "The lamp?")]


async def test_a_slow_condenser_is_given_a_share_of_the_callers_time() -> None:
    async with condenser_of(Generation(hangs=True)) as condenser:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await condenser.condense(CONVERSATION, RELEASE)
    assert time.monotonic() - began < 1.5


async def test_a_question_that_was_condensed_to_nothing_was_not_condensed() -> None:
    async with condenser_of(Generation()) as condenser:
        with pytest.raises(Unavailable):
            await condenser.condense(CONVERSATION, RELEASE)


async def test_a_schema_and_samples_are_passed_on_and_what_they_came_to_comes_back() -> None:
    told = finished()
    told.completed.record.consistency.CopyFrom(
        generation_pb.Consistency(samples=[generation_pb.Sample(seed=7), generation_pb.Sample(seed=8)], agreement=0.5)
    )
    told.completed.record.cost.CopyFrom(generation_pb.Cost(currency_code="EUR", amount=0.5))
    told.completed.record.further_costs.add(currency_code="USD", amount=0.25)
    servicer = Generation([told])
    async with generator_of(servicer) as generator:
        asked = Assignment("answer-1", "Why?", (), RELEASE, json_schema="{}", samples=2)
        [generated] = [piece async for piece in generator.generate(asked)]
    assert (servicer.requests[0].json_schema, servicer.requests[0].samples) == ("{}", 2)
    assert isinstance(generated, Generated)
    assert (generated.samples, generated.agreement) == (2, 0.5)
    assert generated.spending.costs == {"EUR": 0.5, "USD": 0.25}


async def test_an_assignment_keeps_the_question_as_it_was_asked() -> None:
    servicer = Generation([finished()])
    condensation = Condensation("And its weight?", "Lamp: And its weight?", Method.RULE)
    async with generator_of(servicer) as generator:
        asked = Assignment("answer-1", condensation.standalone, (), RELEASE, condensation)
        _ = [piece async for piece in generator.generate(asked)]
    assert servicer.requests[0].condensation.original_question == "And its weight?"


def test_an_answer_of_the_cache_goes_out_as_it_came_in() -> None:
    answer = answer_to_proto(an_answer())
    answer.sources[0].preceding_text = "What stood before it."
    kept = kept_from_proto(answer)
    assert answer_to_proto(kept) == answer
    assert (kept.text, kept.sources) == (answer.text, (a_passage().ref,))
