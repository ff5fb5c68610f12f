"""Every way in which an endpoint or a caller can go wrong has its one answer, from the rpc to the model's server."""

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_generation.domain.routing import EndpointSettings, Leg, RouteSettings
from plumbline_kit.bus import MemoryBus
from plumbline_kit.release import Release
from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM

QUESTION = "How much does the Aurora desk lamp cost?"
FIRST = "The Aurora desk lamp costs 49 euros."
TEXT = f"{FIRST} It weighs 1.2 kilograms."
BEGUN = 9
"""Tokens of the first sentence and two of the second."""
UNFINISHED = b'data: {"choices": [{"delta": {"content": " Gr\xc3'
"""An event that ends within a character of two bytes."""
NOT_UTF_8 = b'data: {"choices": [{"delta": {"content": " Gr\xff"}}]}\n\n'

BEFORE = {
    "refuses": ({"status": 503}, pb.ATTEMPT_OUTCOME_SERVER_ERROR),
    "has too many": ({"status": 429}, pb.ATTEMPT_OUTCOME_RATE_LIMITED),
    "hangs": ({"hang": True}, pb.ATTEMPT_OUTCOME_TIMED_OUT),
    "breaks off": ({"drop_after": 0}, pb.ATTEMPT_OUTCOME_BROKE_OFF),
    "sends no UTF-8": ({"raw": NOT_UTF_8}, pb.ATTEMPT_OUTCOME_MALFORMED),
    "sends half a character": ({"raw": UNFINISHED, "drop_after": 1}, pb.ATTEMPT_OUTCOME_BROKE_OFF),
    "sends half an event": ({"garbage": '{"choices": ['}, pb.ATTEMPT_OUTCOME_MALFORMED),
    "sends another thing": ({"garbage": '{"object": "list"}'}, pb.ATTEMPT_OUTCOME_MALFORMED),
    "sends no events": ({"raw": b"<html>\n\n", "drop_after": 3}, pb.ATTEMPT_OUTCOME_BROKE_OFF),
}
"""What an endpoint does before its first token, and what its attempt is called."""

AMID = {
    "hangs": ({"hang": True}, "not finished within"),
    "dies": ({"drop_after": BEGUN}, "broke off"),
    "sends no UTF-8": ({"raw": NOT_UTF_8}, "something else than a chat completion"),
    "sends half a character": ({"raw": UNFINISHED, "drop_after": BEGUN + 1}, "broke off"),
    "sends half an event": ({"garbage": '{"choices": ['}, "something else than a chat completion"),
}
"""What an endpoint does in mid-stream, and what the record says of it."""


@dataclass
class Pair:
    """A service over two running endpoints that know TEXT, and what it published."""

    sick: FakeLLM
    well: FakeLLM
    stub: GenerationServiceStub
    bus: MemoryBus
    request: Callable[..., pb.GenerateAnswerRequest]

    async def ask(self, **fields: Any) -> tuple[str, pb.AnswerCompleted]:
        """The streamed text, and the last message."""
        request = self.request(**fields)
        *pieces, last = [message async for message in self.stub.GenerateAnswer(request, timeout=10)]
        facts = [fact for fact in self.bus.records(ANSWER_GENERATED) if fact.key == request.answer_id]
        assert len(facts) == 1, "recorded once"
        return "".join(piece.text_delta for piece in pieces), last.completed


@pytest.fixture
def pair(serving: Callable[..., Any], release: Release) -> Callable[..., AbstractAsyncContextManager[Pair]]:
    """Runs one; the sick endpoint has a quarter of a second to begin, and *seconds* to end."""

    @asynccontextmanager
    async def run(seconds: float = 5.0, alone: bool = False, script: str = TEXT) -> AsyncIterator[Pair]:
        def request(question: str = QUESTION, text: str = TEXT) -> pb.GenerateAnswerRequest:
            passage = common_pb.Passage(title="Aurora desk lamp", text=text, end_offset=len(text))
            ref = common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id)
            return pb.GenerateAnswerRequest(
                answer_id=str(uuid.uuid4()), question=question, passages=[passage], release=ref
            )

        bus = MemoryBus()
        async with FakeLLM(script=lambda _: script) as sick, FakeLLM(script=lambda _: TEXT) as well:
            own = EndpointSettings("sick", sick.base_url, first_token_seconds=0.25, total_seconds=seconds)
            legs = (Leg(own),) if alone else (Leg(own), Leg(EndpointSettings("well", well.base_url)))
            async with serving(bus=bus, route=RouteSettings(legs)) as service:
                yield Pair(sick, well, service.stub, bus, request)

    return run


NewPair = Callable[..., AbstractAsyncContextManager[Pair]]


@pytest.mark.parametrize("fault", BEFORE)
async def test_a_fault_before_the_first_token_is_made_good_by_the_next_endpoint(pair: NewPair, fault: str) -> None:
    how, outcome = BEFORE[fault]
    async with pair() as running:
        with running.sick.failing(**how):
            streamed, done = await running.ask()
    assert streamed == done.answer.text == TEXT
    assert done.answer.outcome == common_pb.ANSWER_OUTCOME_ANSWERED
    assert [one.outcome for one in done.record.attempts] == [outcome, pb.ATTEMPT_OUTCOME_ANSWERED]
    assert done.record.endpoint == "well"


@pytest.mark.parametrize("fault", BEFORE)
async def test_with_nobody_else_to_ask_such_a_fault_leaves_an_extract(pair: NewPair, fault: str) -> None:
    how, outcome = BEFORE[fault]
    async with pair(alone=True) as running:
        with running.sick.failing(**how):
            streamed, done = await running.ask()
    assert streamed == done.answer.text
    assert FIRST in streamed
    assert done.answer.outcome == common_pb.ANSWER_OUTCOME_DEGRADED
    assert {one.outcome for one in done.record.attempts} == {outcome}
    assert (done.record.model, done.record.endpoint) == ("extractive", "")
    assert done.record.reason


@pytest.mark.parametrize("fault", AMID)
async def test_a_fault_in_mid_stream_leaves_the_whole_sentences_and_nobody_else_is_asked(
    pair: NewPair, fault: str
) -> None:
    how, reason = AMID[fault]
    async with pair(seconds=0.5) as running:
        with running.sick.failing(after=BEGUN, **how):
            streamed, done = await running.ask()
        assert not running.well.requests
    assert streamed == f"{FIRST} It weighs"
    assert done.answer.text == FIRST
    assert done.answer.outcome == common_pb.ANSWER_OUTCOME_DEGRADED
    assert done.record.endpoint == "sick"
    assert reason in done.record.reason


async def test_an_endpoint_that_nobody_answers_for_is_passed_by(pair: NewPair) -> None:
    async with pair() as running:
        await running.sick.__aexit__()
        streamed, done = await running.ask()
        assert streamed == TEXT
        assert done.record.attempts[0].outcome == pb.ATTEMPT_OUTCOME_UNREACHABLE
        await running.sick.__aenter__()


async def test_an_endpoint_that_has_too_many_is_left_alone_for_as_long_as_it_asks(pair: NewPair) -> None:
    async with pair() as running:
        with running.sick.failing(status=429, retry_after="60"):
            await running.ask()
        _, done = await running.ask()
        assert len(running.sick.requests) == 1
    assert [one.outcome for one in done.record.attempts] == [
        pb.ATTEMPT_OUTCOME_CIRCUIT_OPEN,
        pb.ATTEMPT_OUTCOME_ANSWERED,
    ]


async def test_an_endpoint_that_does_not_know_the_model_is_misconfigured(pair: NewPair) -> None:
    async with pair() as running:
        running.sick.serves = {"another"}
        streamed, done = await running.ask()
    assert streamed == TEXT
    assert done.record.attempts[0].outcome == pb.ATTEMPT_OUTCOME_MISCONFIGURED
    assert "configuration error" in done.record.attempts[0].reason


@pytest.mark.parametrize("script", [f" {TEXT}", " word"], ids=["of sentences", "of words"])
async def test_an_answer_without_end_is_ended_in_time(pair: NewPair, script: str) -> None:
    async with pair(seconds=0.5, script=script) as running:
        running.sick.tokens_per_second = 200
        began = time.monotonic()
        with running.sick.failing(endless=True):
            _, done = await running.ask()
        assert time.monotonic() - began < 3
        await eventually(lambda: running.sick.abandoned == 1)
    assert done.answer.outcome == common_pb.ANSWER_OUTCOME_DEGRADED
    assert "not finished within 0.5 s" in done.record.reason
    assert done.answer.text


@pytest.mark.parametrize("script", [f" {TEXT}", " word"], ids=["of sentences", "of words"])
async def test_an_endpoint_that_knows_no_limit_of_tokens_is_ended_by_the_length_of_its_text(
    pair: NewPair, release: Release, script: str
) -> None:
    async with pair(seconds=20, script=script) as running:
        running.sick.tokens_per_second = 10_000
        with running.sick.failing(endless=True):
            _, done = await running.ask()
        await eventually(lambda: running.sick.abandoned == 1)
    assert done.answer.outcome == common_pb.ANSWER_OUTCOME_DEGRADED
    assert "far more than it was asked for" in done.record.reason
    assert 0 < len(done.answer.text) <= 128 * release.model.max_tokens


async def test_a_caller_that_goes_stops_the_endpoint_within_a_tenth_of_a_second_and_pays_no_more(
    pair: NewPair,
) -> None:
    async with pair(script="word " * 400) as running:
        running.sick.tokens_per_second = 100
        call = running.stub.GenerateAnswer(running.request(), timeout=10)
        await call.read()
        went = time.monotonic()
        call.cancel()
        await eventually(lambda: running.sick.abandoned == 1)
        assert time.monotonic() - went < 0.1
        written = running.sick.tokens_sent
        await eventually(lambda: not running.sick._at_work)
        assert running.sick.tokens_sent == written < 40
        assert not running.bus.records(ANSWER_GENERATED)


async def test_of_a_passage_longer_than_the_window_the_model_reads_the_beginning(
    pair: NewPair, release: Release
) -> None:
    text = f"{TEXT} " + "It stands on a table and it is grey. " * 3_000
    async with pair() as running:
        streamed, done = await running.ask(text=text)
        read = running.sick.requests[0]["messages"][-1]["content"]
    assert streamed == TEXT
    assert len(read.split()) <= release.model.context_tokens + 40
    assert [block.cut for block in done.record.passages] == [True]
    assert done.answer.sources[0].text == text
    assert [list(claim.source_numbers) for claim in done.answer.claims] == [[1], [1]]
