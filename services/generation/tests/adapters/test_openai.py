"""The model over HTTP, on a server that fails as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline_generation.adapters.openai import ApiClient, OpenAIModel
from plumbline_generation.domain.attempts import AttemptOutcome, Usage
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release
from plumbline_kit.telemetry import names
from plumbline_kit.testing import FakeClock, eventually
from plumbline_kit.testing.llm import FakeLLM

PROMPT = Prompt("Answer.", "[1] Lamp: The lamp costs 41 euros.\n\nQuestion: How much?")
PATIENT = Limits(5, 5)
FAR = "Fri, 31 Dec 99999999999 23:59:59 GMT"


@asynccontextmanager
async def connected(server: FakeLLM, release: Release) -> AsyncIterator[OpenAIModel]:
    async with ApiClient(server.base_url, "key", connections=4) as client:
        yield OpenAIModel(client, release.model, endpoint="local", clock=SystemClock())


async def written(model: OpenAIModel, limits: Limits = PATIENT) -> list[str | Finish]:
    return [piece async for piece in model.write(PROMPT, limits)]


async def slowly(pieces: AsyncIterator[str | Finish], server: FakeLLM) -> AsyncIterator[str | Finish]:
    """The next piece is asked for when the server has sent all."""
    async for piece in pieces:
        yield piece
        await eventually(lambda: not server._at_work)


async def failure(
    model: OpenAIModel, limits: Limits = PATIENT, *, after: FakeLLM | None = None
) -> tuple[list[str | Finish], str]:
    """What came before the model failed, and why it did. It is read slowly *after* a server has sent it."""
    pieces: list[str | Finish] = []
    writing = model.write(PROMPT, limits)
    try:
        async for piece in slowly(writing, after) if after else writing:
            pieces.append(piece)
    except ModelFailed as failed:
        return pieces, str(failed)
    pytest.fail("the model did not fail")


async def test_it_yields_the_text_as_it_comes_and_then_what_was_counted(release: Release) -> None:
    async with FakeLLM(tokens_per_second=50) as server, connected(server, release) as model:
        *text, finish = await written(model)
    assert text == ["The", " lamp", " costs", " 41", " euros."]
    assert finish == Finish(ended_itself=True, usage=Usage(11, 5))


async def test_tokens_that_arrive_together_are_one_piece(release: Release) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        pieces = [piece async for piece in slowly(model.write(PROMPT, PATIENT), server)]
    assert "".join(map(str, pieces[:-1])) == "The lamp costs 41 euros."
    assert len(pieces) <= 3


async def test_it_asks_for_what_the_release_says(release: Release) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        await written(model)
    [request] = server.requests
    wanted = {
        "model": release.model.name,
        "temperature": release.model.temperature,
        "seed": release.model.seed,
        "max_tokens": release.model.max_tokens,
        "stop": list(release.model.stop),
        "stream": True,
    }
    assert {name: request[name] for name in wanted} == wanted
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert server.headers[0]["authorization"] == "Bearer key"


async def test_it_tells_when_a_limit_of_tokens_ended_the_text(release: Release) -> None:
    async with FakeLLM(script=lambda _: "word " * 100) as server, connected(server, release) as model:
        *_, finish = await written(model)
    assert isinstance(finish, Finish)
    assert not finish.ended_itself


NO_COMPLETION = "something else"
COUNTED = '{"choices": [], "usage": {"prompt_tokens": %s, "completion_tokens": 1}}'


@pytest.mark.parametrize(
    ("how", "outcome", "reason"),
    [
        ({"status": 500}, AttemptOutcome.SERVER_ERROR, "answered with status 500"),
        ({"status": 429}, AttemptOutcome.RATE_LIMITED, "answered with status 429"),
        ({"status": 401}, AttemptOutcome.MISCONFIGURED, "status 401: a configuration error"),
        ({"status": 404}, AttemptOutcome.MISCONFIGURED, "status 404: a configuration error"),
        ({"status": 400}, AttemptOutcome.REJECTED, "refused the request with status 400"),
        ({"drop_after": 0}, AttemptOutcome.BROKE_OFF, "broke off"),
        ({"raw": b"data\n\n: no data\n\nnonsense\n\n", "drop_after": 2}, AttemptOutcome.BROKE_OFF, "broke off"),
        ({"raw": b'data: {"choices": "\xff"}\n\n'}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": "{half"}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": '{"error": {"message": "context is full"}}'}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": "[]"}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": '{"choices": [{"delta": null}]}'}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": "[" * 100_000}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": COUNTED % "-1"}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": COUNTED % "1e400"}, AttemptOutcome.MALFORMED, NO_COMPLETION),
        ({"garbage": COUNTED % "3000000000"}, AttemptOutcome.MALFORMED, NO_COMPLETION),
    ],
)
async def test_it_asks_once_and_fails_before_the_text_with_a_reason(
    release: Release, how: dict[str, Any], outcome: AttemptOutcome, reason: str
) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        with server.failing(**how), pytest.raises(ModelFailed, match=reason) as failed:
            await written(model)
    assert failed.value.outcome is outcome
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("soon", None),
        (FAR, None),
    ],
)
async def test_it_tells_how_long_the_server_wants_to_be_left_alone(
    release: Release, header: str, seconds: float | None
) -> None:
    async with FakeLLM() as server, ApiClient(server.base_url, "", connections=1) as client:
        model = OpenAIModel(client, release.model, endpoint="local", clock=FakeClock())
        with server.failing(status=429, retry_after=header), pytest.raises(ModelFailed) as failed:
            await written(model)
    assert failed.value.retry_after == seconds


async def test_characters_that_are_cut_between_chunks_arrive_whole(release: Release) -> None:
    text = "Größe: 5 €, ☕️ 🪔\u2028\u0085."
    async with FakeLLM(script=lambda _: text) as server, connected(server, release) as model:
        with server.failing(byte_by_byte=True):
            *pieces, finish = await written(model)
    assert "".join(map(str, pieces)) == text
    assert isinstance(finish, Finish)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("Oil \\ud83e", "\\ude94 lamp", "Oil \U0001fa94 lamp"), ("a\\ud83e", "b\\ude94", "a\ufffdb\ufffd")],
)
async def test_a_character_of_two_halves_arrives_whole_and_half_a_one_as_a_sign(
    release: Release, first: str, second: str, told: str
) -> None:
    chunks = [f'data: {{"choices": [{{"delta": {{"content": "{half}"}}}}]}}\n\n' for half in (first, second)]
    async with FakeLLM(script=lambda _: "once") as server, connected(server, release) as model:
        with server.failing(raw="".join(chunks).encode()):
            *pieces, finish = await written(model)
    assert "".join(map(str, pieces)) == told
    assert isinstance(finish, Finish)


async def test_an_answer_without_end_is_cut_and_stopped(release: Release) -> None:
    async with FakeLLM(tokens_per_second=200) as server, connected(server, release) as model:
        with server.failing(endless=True):
            pieces, why = await failure(model, Limits(5, 0.2))
        assert len(pieces) > 5
        assert why == "not finished within 0.2 s"
        await eventually(lambda: server.abandoned == 1)


async def test_it_does_not_ask_again_once_text_has_come(release: Release) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        with server.failing(drop_after=2):
            pieces, why = await failure(model)
    assert "".join(map(str, pieces)) == "The lamp"
    assert "broke off" in why
    assert len(server.requests) == 1


async def test_what_came_before_the_break_is_told_however_late_it_is_read(release: Release) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        with server.failing(drop_after=4):
            pieces, why = await failure(model, after=server)
    assert "".join(map(str, pieces)) == "The lamp costs 41"
    assert "broke off" in why


async def test_a_server_that_is_away_is_a_reason(release: Release) -> None:
    async with FakeLLM() as server:
        pass
    async with connected(server, release) as model:
        assert "could not be reached" in (await failure(model))[1]


@pytest.mark.parametrize("how", [{"hang": True}, {}], ids=["hangs", "slow"])
async def test_it_waits_for_the_first_token_no_longer_than_it_may(release: Release, how: dict[str, Any]) -> None:
    async with FakeLLM(first_token_seconds=5) as server, connected(server, release) as model:
        with server.failing(**how):
            began = time.monotonic()
            pieces, why = await failure(model, Limits(0.1, 5))
            assert time.monotonic() - began < 1
        assert (pieces, why) == ([], "no token within 0.1 s")
        await eventually(lambda: server.abandoned == 1)


async def test_a_model_that_does_not_end_is_stopped(release: Release) -> None:
    async with FakeLLM(tokens_per_second=20) as server, connected(server, release) as model:
        pieces, why = await failure(model, Limits(5, 0.12))
        assert pieces[0] == "The"
        assert why == "not finished within 0.12 s"
        await eventually(lambda: server.abandoned == 1)


async def test_a_reader_that_stops_stops_the_server(release: Release) -> None:
    async with FakeLLM(tokens_per_second=20) as server, connected(server, release) as model:
        async with aclosing(model.write(PROMPT, PATIENT)) as pieces:
            assert await anext(pieces) == "The"
        await eventually(lambda: server.abandoned == 1)


async def test_one_connection_serves_many_answers(release: Release) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        for _ in range(3):
            await written(model)
        assert server.connections == 1


async def test_a_request_whose_kept_connection_ends_under_it_is_sent_on_a_fresh_one(release: Release) -> None:
    async with FakeLLM(keeps=False) as server, connected(server, release) as model:
        for _ in range(3):
            *text, finish = await written(model)
            assert "".join(map(str, text)) == "The lamp costs 41 euros."
            assert isinstance(finish, Finish)
        assert (len(server.requests), server.connections) == (3, 3)


async def test_a_fresh_connection_that_ends_under_its_request_is_a_failure(release: Release) -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with ApiClient(url, "", connections=1) as client:
            model = OpenAIModel(client, release.model, endpoint="local", clock=SystemClock())
            with pytest.raises(ModelFailed) as failed:
                await written(model)
    assert (failed.value.outcome, len(accepted)) == (AttemptOutcome.UNREACHABLE, 1)


async def test_its_span_says_what_was_asked_and_counted(release: Release, spans: InMemorySpanExporter) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        await written(model)
    [span] = spans.get_finished_spans()
    assert span.name == f"chat {release.model.name}"
    assert span.attributes is not None
    assert span.attributes[names.GEN_AI_REQUEST_MODEL] == release.model.name
    assert (span.attributes[names.GEN_AI_INPUT_TOKENS], span.attributes[names.GEN_AI_OUTPUT_TOKENS]) == (11, 5)
    assert format(span.context.trace_id, "032x") in server.headers[0]["traceparent"]


async def test_its_span_says_what_failed(release: Release, spans: InMemorySpanExporter) -> None:
    async with FakeLLM() as server, connected(server, release) as model:
        with server.failing(status=401):
            await failure(model)
    [span] = spans.get_finished_spans()
    assert not span.status.is_ok
    assert "401" in (span.status.description or "")


async def test_a_prompt_may_ask_for_less_and_for_no_chance(release: Release) -> None:
    warm = replace(release, model=replace(release.model, temperature=0.9, max_tokens=40))
    async with FakeLLM() as server, connected(server, warm) as model:
        for prompt in (replace(PROMPT, temperature=0.0, max_tokens=8), replace(PROMPT, max_tokens=80)):
            _ = [piece async for piece in model.write(prompt, PATIENT)]
    asked = [(body["temperature"], body["max_tokens"]) for body in server.requests]
    assert asked == [(0.0, 8), (0.9, 40)]
