"""The fake model speaks as a real one does, and fails as it is told."""

import asyncio
import json
import sys
import time
from typing import Any

import httpx
import pytest

from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM

PROMPT = [{"role": "user", "content": "[1] Lamp: The lamp costs 41 euros. It is grey.\n\nQuestion: How much?"}]


async def events(model: FakeLLM, **body: Any) -> list[dict[str, Any]]:
    """What is streamed."""
    async with (
        httpx.AsyncClient(base_url=model.base_url, timeout=1) as client,
        client.stream("POST", "/chat/completions", json={"messages": PROMPT, "stream": True} | body) as reply,
    ):
        reply.raise_for_status()
        lines = [line async for line in reply.aiter_lines() if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def stream(model: FakeLLM, **body: Any) -> list[str]:
    """The pieces of text that are streamed."""
    deltas = [choice["delta"] for event in await events(model, **body) for choice in event["choices"]]
    return [delta["content"] for delta in deltas if delta]


async def test_it_streams_the_first_sentence_of_the_first_passage() -> None:
    async with FakeLLM() as model:
        assert await stream(model) == ["The", " lamp", " costs", " 41", " euros."]


async def test_a_stream_ends_with_why_it_ends_and_what_it_took() -> None:
    async with FakeLLM() as model:
        *_, end, usage = await events(model, max_tokens=2)
    assert end["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["completion_tokens"] == 2


async def test_it_answers_whole_with_usage_and_remembers_the_request() -> None:
    headers = {"Authorization": "Bearer key"}
    async with FakeLLM(script=lambda _: "Yes.") as model, httpx.AsyncClient(base_url=model.base_url) as client:
        asked = await client.post("/chat/completions", json={"messages": PROMPT, "max_tokens": 5}, headers=headers)
        reply = asked.json()
    assert reply["choices"][0]["message"]["content"] == "Yes."
    assert reply["usage"]["completion_tokens"] == 1
    assert model.requests[0]["max_tokens"] == 5
    assert model.headers[0]["authorization"] == "Bearer key"


async def test_it_says_that_it_is_well_and_what_it_serves() -> None:
    async with FakeLLM() as model, httpx.AsyncClient(base_url=model.base_url) as client:
        assert (await client.get("/models")).json()["data"][0]["id"] == "fake"
        assert (await client.get(f"http://127.0.0.1:{model.port}/health")).json() == {"status": "ok"}
        assert (await client.get("/nothing")).status_code == 404


async def computed(server: FakeLLM, path: str, **body: Any) -> dict[str, Any]:
    """The answer of a route that has no tokens."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=1) as client:
        reply = await client.post(path, json=body)
    reply.raise_for_status()
    answer: dict[str, Any] = reply.json()
    return answer


async def test_it_embeds_texts_as_close_as_the_words_that_they_share() -> None:
    async with FakeLLM() as model:
        answer = await computed(model, "/embeddings", model="any", input=["a grey lamp", "the grey lamp", "moon"])
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2]
    lamp, same, moon = (entry["embedding"] for entry in answer["data"])
    near, far = (sum(a * b for a, b in zip(lamp, other, strict=True)) for other in (same, moon))
    assert near > far


async def test_it_embeds_one_text_as_it_is_told() -> None:
    async with FakeLLM(embed=lambda text: [len(text), 0.5]) as model:
        answer = await computed(model, "/embeddings", model="any", input="lamp")
    assert [entry["embedding"] for entry in answer["data"]] == [[4, 0.5]]


async def test_it_ranks_the_documents_best_first_by_the_words_of_the_query() -> None:
    async with FakeLLM() as model:
        answer = await computed(
            model, "/rerank", model="any", query="grey lamp", documents=["moon", "The lamp is grey."]
        )
    assert answer["results"] == [{"index": 1, "relevance_score": 1.0}, {"index": 0, "relevance_score": 0.0}]


@pytest.mark.parametrize("path", ["/embeddings", "/rerank"])
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"status": 503}, httpx.HTTPStatusError),
        ({"drop_after": 0}, httpx.RemoteProtocolError),
        ({"hang": True}, httpx.ReadTimeout),
        ({"garbage": "{half"}, json.JSONDecodeError),
    ],
    ids=["status", "drop", "hang", "garbage"],
)
async def test_it_fails_as_told_without_tokens_too(path: str, how: dict[str, Any], error: type[Exception]) -> None:
    body = {"input": ["lamp"], "query": "lamp", "documents": ["lamp"]}
    async with FakeLLM() as model:
        with model.failing(**how), pytest.raises(error):
            await computed(model, path, **body)
        assert await computed(model, path, **body)


async def test_it_says_when_to_come_back_if_told_to() -> None:
    async with FakeLLM() as model:
        with model.failing(status=429, retry_after="7"), pytest.raises(httpx.HTTPStatusError) as raised:
            await computed(model, "/embeddings", input=["lamp"])
    assert raised.value.response.headers["retry-after"] == "7"


async def test_it_counts_how_many_requests_were_at_work_at_once() -> None:
    async with FakeLLM() as model:
        with model.failing(hang=True):
            waiting = [asyncio.create_task(computed(model, "/embeddings", input=["lamp"])) for _ in range(3)]
            await eventually(lambda: model.most_at_once == 3)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await computed(model, "/embeddings", input=["lamp"])
        assert model.most_at_once == 3


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
        ({"garbage": "{half"}, json.JSONDecodeError),
    ],
    ids=["status", "drop", "hang", "garbage"],
)
async def test_it_fails_as_told_and_then_no_more(how: dict[str, object], error: type[Exception]) -> None:
    async with FakeLLM() as model:
        with model.failing(**how), pytest.raises(error):
            await stream(model)
        assert "".join(await stream(model)) == "The lamp costs 41 euros."


async def test_it_fails_as_often_as_told() -> None:
    async with FakeLLM() as model:
        with model.failing(status=429, times=1):
            with pytest.raises(httpx.HTTPStatusError):
                await stream(model)
            assert await stream(model)


async def test_it_notices_a_caller_that_goes() -> None:
    async with FakeLLM() as model:
        with model.failing(hang=True):
            waiting = asyncio.create_task(stream(model))
            await eventually(lambda: model.requests)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await eventually(lambda: model.abandoned == 1)


async def test_it_leaves_nothing_open_when_its_context_ends_amid_a_request() -> None:
    async with FakeLLM() as model:
        with model.failing(hang=True):
            waiting = asyncio.create_task(stream(model))
            await eventually(lambda: model.requests)
    with pytest.raises(httpx.RemoteProtocolError):
        await waiting


async def test_it_runs_as_a_process_of_its_own(unused_tcp_port: int) -> None:
    command = (sys.executable, "-m", "plumbline_kit.testing.llm", "--port", str(unused_tcp_port))
    process = await asyncio.create_subprocess_exec(*command)
    try:
        assert await eventually(lambda: _is_well(unused_tcp_port))
    finally:
        process.terminate()
        await process.wait()


async def _is_well(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health")).is_success
        except httpx.ConnectError:
            return False


async def test_it_fails_an_even_share_of_its_requests() -> None:
    async with FakeLLM() as model, httpx.AsyncClient(base_url=model.base_url) as client:
        with model.failing(share=0.5, status=500):
            replies = [await client.post("/chat/completions", json={"messages": PROMPT}) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 500, 200, 500]
    assert model.connections == 1


@pytest.mark.parametrize("how", [{"byte_by_byte": True}, {"raw": b"data: \xff\n\n"}, {"endless": True}])
async def test_it_streams_what_it_is_told_to(how: dict[str, Any]) -> None:
    wanted = {"byte_by_byte": b'"content": "The"', "raw": b"\xff", "endless": b" euros."}
    async with FakeLLM() as model, httpx.AsyncClient(base_url=model.base_url) as client:
        with model.failing(**how):
            async with client.stream("POST", "/chat/completions", json={"messages": PROMPT, "stream": True}) as reply:
                body = b""
                async for chunk in reply.aiter_raw():
                    body += chunk
                    if "endless" in how and body.count(b" euros.") > 2:
                        break
    assert wanted[next(iter(how))] in body
