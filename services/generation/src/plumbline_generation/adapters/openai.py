"""`LanguageModel` on any server with OpenAI's chat completions API: vLLM, llama.cpp, Ollama, a vendor."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from plumbline_generation.adapters.spans import chat_span, tell_finish, tell_first_token, trace_headers
from plumbline_generation.domain.answer import Usage
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_kit.clock import Clock
from plumbline_kit.release import ModelSettings

CONNECT_SECONDS: Final = 2.0
RETRY_PAUSE_SECONDS: Final = 0.2

Piece = str | Finish


class Transient(ModelFailed):
    """A failure that a second attempt may mend."""


def open_client(base_url: str, api_key: str, *, connections: int) -> httpx.AsyncClient:
    """A pool of kept connections to the API at *base_url*. Proxies named in the environment are not used."""
    return httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # the limits of each call bound the rest
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60),
        trust_env=False,
    )


class OpenAIModel:
    """Has at most *places* completions written at a time; another waits for a place until its first-token limit."""

    def __init__(self, client: httpx.AsyncClient, settings: ModelSettings, *, places: int, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._places = asyncio.Semaphore(places)
        self._clock = clock

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `LanguageModel`. Asks a second time if the first attempt fails before any token."""
        now = asyncio.get_running_loop().time()
        with chat_span(self._settings, self._client.base_url) as span:
            body = _body(prompt, self._settings)
            async with self._place(now + limits.first_token), aclosing(Completion(self._client, body)) as completion:
                async with _by(now + limits.first_token, f"no token within {limits.first_token:.3g} s"):
                    piece = await self._first(completion, trace_headers(span))
                tell_first_token(span, asyncio.get_running_loop().time() - now)
                while not isinstance(piece, Finish):
                    yield piece
                    async with _by(now + limits.total, f"not finished within {limits.total:.3g} s"):
                        piece = await completion.next()
                tell_finish(span, piece)
                yield piece

    @asynccontextmanager
    async def _place(self, moment: float) -> AsyncIterator[None]:
        async with _by(moment, "too many others are waiting for the model"):
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    async def _first(self, completion: "Completion", headers: dict[str, str]) -> Piece:
        try:
            return await completion.begin(headers)
        except Transient:
            await self._clock.sleep(RETRY_PAUSE_SECONDS)
            return await completion.begin(headers)


class Completion:
    """One streamed completion. `begin` may be called again after it failed."""

    def __init__(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        self._client = client
        self._body = body
        self._response: httpx.Response | None = None

    async def begin(self, headers: dict[str, str]) -> Piece:
        """The first piece. Raises `ModelFailed`."""
        await self.aclose()
        request = self._client.build_request("POST", "chat/completions", json=self._body, headers=headers)
        try:
            self._response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise Transient(f"the model could not be reached ({type(error).__name__})") from error
        _check(self._response.status_code)
        self._pieces = _pieces(self._response.aiter_lines())
        return await self.next()

    async def next(self) -> Piece:
        """The next piece; `Finish` is the last. Raises `ModelFailed`."""
        try:
            return await anext(self._pieces)
        except httpx.HTTPError as error:
            raise Transient(f"the model broke off ({type(error).__name__})") from error

    async def aclose(self) -> None:
        """Stop it: a server that is worth its name then stops computing."""
        if self._response is not None:
            await self._response.aclose()


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event of the stream says."""

    text: str
    finish_reason: str | None
    usage: Usage | None

    @classmethod
    def parse(cls, data: str) -> "Chunk":
        """Raises `ModelFailed` for anything that is not a piece of a chat completion."""
        try:
            event = json.loads(data)
            choice = event["choices"][0] if event["choices"] else {"delta": {}}
            counted = event.get("usage")
            usage = Usage(int(counted["prompt_tokens"]), int(counted["completion_tokens"])) if counted else None
            return cls(str(choice["delta"].get("content") or ""), choice.get("finish_reason"), usage)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ModelFailed("the model sent something else than a chat completion") from error


async def _pieces(lines: AsyncIterator[str]) -> AsyncGenerator[Piece, None]:
    """Texts, then how it ended. Raises `ModelFailed` for a stream that ends before its end."""
    finish, reason = Finish(), None
    async for data in _data(lines):
        chunk = Chunk.parse(data)
        reason = chunk.finish_reason or reason
        finish = replace(finish, usage=chunk.usage or finish.usage)
        if chunk.text:
            yield chunk.text
    if reason is None:
        raise Transient("the model broke off")
    yield replace(finish, ended_itself=reason != "length")


async def _data(lines: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The data of server-sent events, each of which has one line here, up to the one that says it is the last."""
    async for line in lines:
        if line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            yield data


def _check(status: int) -> None:
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Transient(f"the model answered with status {status}")
    if status != httpx.codes.OK:
        raise ModelFailed(f"the model refused the request with status {status}")


@asynccontextmanager
async def _by(moment: float, reason: str) -> AsyncIterator[None]:
    """Raise `ModelFailed` if the body is not done by *moment*, in seconds of the event loop."""
    try:
        async with asyncio.timeout_at(moment):
            yield
    except TimeoutError as error:
        raise ModelFailed(reason) from error


def _body(prompt: Prompt, settings: ModelSettings) -> dict[str, Any]:
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    return {
        "model": settings.name,
        "messages": messages,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "max_tokens": settings.max_tokens,
        "stop": list(settings.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
