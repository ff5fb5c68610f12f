"""The fake model speaks as a real one does, and fails as it is told."""

import json
import time

import httpx
import pytest

from plumbline_kit.testing.llm import FakeLLM

PROMPT = [{"role": "user", "content": "[1] Lamp: The lamp costs 41 euros. It is grey.\n\nQuestion: How much?"}]


async def stream(model: FakeLLM) -> list[str]:
    """The pieces of text that are streamed."""
    pieces = []
    async with (
        httpx.AsyncClient(base_url=model.base_url, timeout=1) as client,
        client.stream("POST", "/chat/completions", json={"messages": PROMPT, "stream": True}) as reply,
    ):
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                pieces += [choice["delta"].get("content", "") for choice in choices]
    return [piece for piece in pieces if piece]


async def test_it_streams_the_first_sentence_of_the_first_passage() -> None:
    async with FakeLLM() as model:
        assert await stream(model) == ["The", " lamp", " costs", " 41", " euros."]


async def test_it_answers_whole_with_usage_and_remembers_the_request() -> None:
    async with FakeLLM(script=lambda _: "Yes.") as model, httpx.AsyncClient(base_url=model.base_url) as client:
        reply = (await client.post("/chat/completions", json={"messages": PROMPT, "max_tokens": 5})).json()
    assert reply["choices"][0]["message"]["content"] == "Yes."
    assert reply["usage"]["completion_tokens"] == 1
    assert model.requests[0]["max_tokens"] == 5


async def test_it_takes_its_time_when_told_to() -> None:
    async with FakeLLM(first_token_seconds=0.1, tokens_per_second=50) as model:
        started = time.monotonic()
        await stream(model)
    assert time.monotonic() - started >= 0.1 + 5 / 50


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"status": 503}, httpx.HTTPStatusError),
        ({"drop_after": 2}, httpx.RemoteProtocolError),
        ({"hang": True}, httpx.ReadTimeout),
        ({"garbage": True}, json.JSONDecodeError),
    ],
    ids=["status", "drop", "hang", "garbage"],
)
async def test_it_fails_as_told_and_then_no_more(how: dict[str, object], error: type[Exception]) -> None:
    async with FakeLLM() as model:
        with model.failing(**how), pytest.raises(error):
            await stream(model)
        assert "".join(await stream(model)) == "The lamp costs 41 euros."
