"""The model adapter on a real HTTP server that fails as it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from plumbline_generation.adapters.openai import OpenAIModel, open_client
from plumbline_generation.domain.packing import pack
from plumbline_generation.domain.prompt import Prompt, PromptTemplate
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_generation.testing import a_passage, words
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release
from plumbline_kit.testing.llm import FakeLLM

LIMITS = Limits(first_token=1.0, total=2.0)


@asynccontextmanager
async def a_model(release: Release, server: FakeLLM) -> AsyncIterator[OpenAIModel]:
    """The adapter on a running fake server."""
    async with server, open_client(server.base_url, "secret", connections=2) as client:
        yield OpenAIModel(client, release.model, places=2, clock=SystemClock())


def a_prompt(release: Release) -> Prompt:
    return PromptTemplate(release.prompt).render("How much?", pack([a_passage()], 100, words))


async def write(model: OpenAIModel, release: Release, limits: Limits = LIMITS) -> tuple[str, Finish | None]:
    text, finish = "", None
    async for piece in model.write(a_prompt(release), limits):
        if isinstance(piece, Finish):
            finish = piece
        else:
            text += piece
    return text, finish


async def test_it_streams_text_and_counts_tokens(release: Release) -> None:
    server = FakeLLM(script=lambda _: "It costs 49 euros.")
    async with a_model(release, server) as model:
        text, finish = await write(model, release)
    assert text.strip() == "It costs 49 euros."
    assert finish is not None
    assert finish.usage.completion_tokens == 4


async def test_it_asks_as_the_release_says(release: Release) -> None:
    server = FakeLLM(script=lambda _: "Yes.")
    async with a_model(release, server) as model:
        await write(model, release)
    [body] = server.requests
    assert (body["model"], body["temperature"], body["seed"]) == (
        release.model.name,
        release.model.temperature,
        release.model.seed,
    )


@pytest.mark.parametrize(
    "how",
    [{"status": 500}, {"status": 429}, {"status": 401}, {"drop_after": 2}, {"hang": True}, {"garbage": "{half"}],
    ids=["500", "429", "401", "dropped", "hangs", "garbage"],
)
async def test_whatever_goes_wrong_is_a_model_that_failed_in_time(release: Release, how: dict[str, object]) -> None:
    server = FakeLLM(script=lambda _: "It costs 49 euros and no more.")
    async with a_model(release, server) as model:
        with server.failing(**how), pytest.raises(ModelFailed):
            await write(model, release)


async def test_a_failure_before_the_first_word_is_tried_once_more(release: Release) -> None:
    server = FakeLLM(script=lambda _: "Yes.")
    async with a_model(release, server) as model:
        with server.failing(status=503, times=1):
            text, _ = await write(model, release)
    assert text.strip() == "Yes."
    assert len(server.requests) == 2


async def test_a_model_that_is_too_slow_in_all_is_stopped(release: Release) -> None:
    server = FakeLLM(script=lambda _: "word " * 40, tokens_per_second=20)
    async with a_model(release, server) as model:
        with pytest.raises(ModelFailed):
            await write(model, release, replace(LIMITS, total=0.4))


async def test_a_server_that_is_not_there_is_a_model_that_failed(release: Release) -> None:
    async with open_client("http://127.0.0.1:9/v1", "", connections=1) as client:
        model = OpenAIModel(client, release.model, places=1, clock=SystemClock())
        with pytest.raises(ModelFailed):
            await write(model, release)
