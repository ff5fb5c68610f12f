import httpx
import pytest

from plumbline_local.layout import Layout
from plumbline_local.supervisor import Supervisor


@pytest.fixture
async def model_url(layout: Layout, supervisor: Supervisor) -> str:
    await supervisor.start({"llm"})
    return f"http://{layout.address('llm')}/v1"


async def test_the_local_model_answers_as_an_openai_endpoint(model_url: str) -> None:
    question = {"role": "user", "content": "The lamp costs 41 euros.\nQuestion: How much does the lamp cost?"}
    request = {"model": "smollm2-135m-instruct", "messages": [question], "max_tokens": 24, "temperature": 0}

    async with httpx.AsyncClient(base_url=model_url, timeout=60) as client:
        reply = (await client.post("/chat/completions", json=request)).raise_for_status().json()

    assert "41" in reply["choices"][0]["message"]["content"]
    assert reply["model"] == "smollm2-135m-instruct"


async def test_the_local_model_streams(model_url: str) -> None:
    request = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "stream": True}

    async with (
        httpx.AsyncClient(base_url=model_url, timeout=60) as client,
        client.stream("POST", "/chat/completions", json=request) as reply,
    ):
        lines = [line async for line in reply.aiter_lines() if line.startswith("data: ")]

    assert len(lines) >= 3
    assert lines[-1] == "data: [DONE]"
