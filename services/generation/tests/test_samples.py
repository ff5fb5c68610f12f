"""Answers that are one of several texts: the use case on fakes, and the rpc on the fake model server."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_generation.domain.answer import Outcome
from plumbline_generation.domain.attempts import Attempt, AttemptOutcome, Cost, Trail, Usage
from plumbline_generation.domain.budget import Budgets, BudgetSettings
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.schema import Schema
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_generation.testing import an_assignment
from plumbline_kit.errors import Invalid
from plumbline_kit.release import Release
from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM

NewDesk = Callable[..., Any]
Serving = Callable[..., Any]
RIGHT = "The Aurora desk lamp costs 49 euros."


@dataclass
class Drawer:
    """Writes a text by its seed, or fails where there is none. All of them end together."""

    texts: Mapping[int, str]
    count: int
    asked: list[Prompt] = field(default_factory=list)
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`."""
        self.asked.append(prompt)
        if len(self.asked) >= self.count:
            self.all_there.set()
        await self.all_there.wait()
        name = f"own-{prompt.seed}"
        if prompt.seed not in self.texts:
            trail = Trail(attempts=(Attempt(name, "m", AttemptOutcome.BROKE_OFF, "the model broke off"),))
            raise ModelFailed("the model broke off", trail=trail)
        yield self.texts[prompt.seed][:5]
        yield self.texts[prompt.seed][5:]
        attempt = Attempt(name, "m", AttemptOutcome.ANSWERED)
        yield Finish(usage=Usage(100, 10), trail=Trail(name, "m", (attempt,), Cost("EUR", 0.25)))


def drawing(release: Release, samples: int, **more: Any) -> Any:
    return replace(an_assignment(release), samples=samples, **more)


async def test_the_text_nearest_to_the_others_is_told_with_what_all_took(desk: NewDesk, release: Release) -> None:
    seed = release.model.seed
    texts = ["The Aurora desk lamp weighs 1.2 kilograms.", RIGHT, "The Aurora lamp costs 49 euros."]
    drawer = Drawer(dict(enumerate(texts, start=seed)), count=3)
    streamed, done = await desk(model=drawer).answer(drawing(release, 3))
    assert streamed == done.answer.text == RIGHT
    assert sorted(prompt.seed for prompt in drawer.asked) == [seed, seed + 1, seed + 2]
    consistency, record = done.record.consistency, done.record
    assert (consistency.seed, [one.seed for one in consistency.samples]) == (seed + 1, [seed, seed + 1, seed + 2])
    assert 0 < consistency.agreement < 1
    assert (record.usage, record.trail.cost) == (Usage(300, 30), Cost("EUR", 0.75))
    assert (record.trail.endpoint, len(record.trail.attempts)) == (f"own-{seed + 1}", 3)
    assert done.answer.claims[0].source_numbers == (1,)


async def test_of_texts_that_agree_alike_the_first_seed_is_told(desk: NewDesk, release: Release) -> None:
    drawer = Drawer(dict.fromkeys(range(20), RIGHT), count=4)
    _, done = await desk(model=drawer).answer(drawing(release, 4))
    assert (done.record.consistency.seed, done.record.consistency.agreement) == (release.model.seed, 1)


async def test_a_sample_that_fails_takes_no_part(desk: NewDesk, release: Release) -> None:
    seed = release.model.seed
    drawer = Drawer({seed + 1: RIGHT, seed + 2: RIGHT}, count=3)
    _, done = await desk(model=drawer).answer(drawing(release, 3))
    first = done.record.consistency.samples[0]
    assert (first.reason, first.agreement) == ("the model broke off", None)
    assert (done.record.consistency.agreement, done.answer.outcome) == (1, Outcome.ANSWERED)
    assert len(done.record.trail.attempts) == 3


async def test_one_text_that_is_left_agrees_with_nothing(desk: NewDesk, release: Release) -> None:
    _, done = await desk(model=Drawer({release.model.seed: RIGHT}, count=2)).answer(drawing(release, 2))
    assert (done.answer.text, done.record.consistency.agreement) == (RIGHT, None)


async def test_when_all_fail_an_extract_answers(desk: NewDesk, release: Release) -> None:
    _, done = await desk(model=Drawer({}, count=2)).answer(drawing(release, 2))
    assert (done.answer.outcome, done.record.reason) == (Outcome.DEGRADED, "the model broke off")
    assert len(done.record.trail.attempts) == 2
    assert done.record.consistency is None


async def test_most_that_do_not_know_are_a_refusal(desk: NewDesk, release: Release) -> None:
    seed = release.model.seed
    drawer = Drawer({seed: RIGHT, seed + 1: "I don't know.", seed + 2: "I don't know."}, count=3)
    _, done = await desk(model=drawer).answer(drawing(release, 3))
    assert done.answer.outcome is Outcome.REFUSED


async def test_json_that_fits_goes_before_what_agrees_more(desk: NewDesk, release: Release) -> None:
    seed, schema = release.model.seed, Schema.parse(json.dumps({"type": "object", "required": ["price"]}))
    drawer = Drawer({seed: '{"cost": 49}', seed + 1: '{"cost": 49}', seed + 2: '{"price": 49}'}, count=3)
    streamed, done = await desk(model=drawer).answer(drawing(release, 3, schema=schema))
    assert (streamed, done.record.repaired, done.record.consistency.seed) == ('{"price": 49}', False, seed + 2)


async def test_a_release_may_draw_several(desk: NewDesk, release: Release) -> None:
    sampling = replace(release, model=replace(release.model, samples=2))
    drawer = Drawer(dict.fromkeys(range(20), RIGHT), count=2)
    await desk(release=sampling, model=drawer).answer(an_assignment(sampling))
    assert len(drawer.asked) == 2


async def test_whoever_leaves_stops_all_of_them(desk: NewDesk, release: Release) -> None:
    drawer, others = Drawer({}, count=9), asyncio.all_tasks()
    leaving = asyncio.create_task(desk(model=drawer).answer(drawing(release, 3)))
    await eventually(lambda: len(drawer.asked) == 3)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert leaving.cancelled()
    assert asyncio.all_tasks() == others


@pytest.mark.parametrize("samples", [-1, 9])
def test_how_many_is_bounded(release: Release, samples: int) -> None:
    with pytest.raises(Invalid) as error:
        drawing(release, samples)
    assert error.value.violations[0].field == "samples"
    with pytest.raises(ValueError, match=f"model.samples is {samples}"):
        replace(release.model, samples=samples)


def a_request(release: Release, **more: Any) -> pb.GenerateAnswerRequest:
    passage = common_pb.Passage(ref={"document_id": "lamp", "version": 3}, title="Aurora desk lamp", text=RIGHT)
    return pb.GenerateAnswerRequest(
        answer_id=str(uuid.uuid4()),
        question="How much does the Aurora desk lamp cost?",
        passages=[passage],
        release=common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id),
        **more,
    )


async def test_the_record_tells_seeds_agreement_and_tokens_of_all(serving: Serving, release: Release) -> None:
    budget = BudgetSettings(Budgets(10_000))
    async with serving(model=FakeLLM(tokens_per_second=200), budget=budget) as service:
        messages = [one async for one in service.stub.GenerateAnswer(a_request(release, samples=3), timeout=10)]
        one = [one async for one in service.stub.GenerateAnswer(a_request(release), timeout=10)][-1].completed.record
        fact, _ = (record.body for record in service.bus.records(ANSWER_GENERATED))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await anext(aiter(service.stub.GenerateAnswer(a_request(release, samples=9), timeout=10)))
        spent = await eventually(lambda: settled(service))
    assert "".join(message.text_delta for message in messages) == RIGHT
    record, seed = messages[-1].completed.record, release.model.seed
    assert sorted(body["seed"] for body in service.model.requests) == [seed, seed, seed + 1, seed + 2]
    assert service.model.most_at_once == 3
    assert [sample.seed for sample in record.consistency.samples] == [seed, seed + 1, seed + 2]
    assert (record.consistency.agreement, record.seed, record.temperature) == (1, seed, release.model.temperature)
    assert record.prompt_tokens == 3 * one.prompt_tokens
    assert fact.record.consistency == record.consistency
    assert not one.HasField("consistency")
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert spent.used_tokens == 4 * (one.prompt_tokens + one.completion_tokens)


async def settled(service: Any) -> pb.GetBudgetResponse | None:
    budget = await service.stub.GetBudget(pb.GetBudgetRequest(), timeout=10)
    return None if budget.reserved_tokens else budget
