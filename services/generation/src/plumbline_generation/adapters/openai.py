"""`LanguageModel` on any server with OpenAI's chat completions API: vLLM, llama.cpp, Ollama, a vendor."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from plumbline_generation.adapters.event_stream import MalformedStream, events
from plumbline_generation.adapters.spans import chat_span, tell_finish, tell_first_token, trace_headers
from plumbline_generation.domain.attempts import AttemptOutcome, Usage
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_kit.clock import Clock
from plumbline_kit.release import ModelSettings

CONNECT_SECONDS: Final = 2.0
READ_OUT_SECONDS: Final = 0.05
NO_COMPLETION: Final = "the model sent something else than a chat completion"
CONFIGURATION_STATUSES: Final = (401, 403, 404, 405)

Piece = str | Finish


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
    """Asks once. Who asks again, and when, is the route's business."""

    def __init__(self, client: httpx.AsyncClient, settings: ModelSettings, *, endpoint: str, clock: Clock) -> None:
        """*endpoint* is the name by which spans know it."""
        self._client = client
        self._settings = settings
        self._endpoint = endpoint
        self._clock = clock

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `LanguageModel`."""
        now = asyncio.get_running_loop().time()
        with chat_span(self._settings, self._client.base_url, self._endpoint) as span:
            body = _body(prompt, self._settings)
            async with aclosing(Completion(self._client, body, self._clock)) as completion:
                async with _by(now + limits.first_token, f"no token within {limits.first_token:.3g} s"):
                    piece = await completion.begin(trace_headers(span))
                tell_first_token(span, asyncio.get_running_loop().time() - now)
                while not isinstance(piece, Finish):
                    yield piece
                    async with _by(now + limits.total, f"not finished within {limits.total:.3g} s"):
                        piece = await completion.next()
                tell_finish(span, piece)
                yield piece


class Completion:
    """One streamed completion."""

    def __init__(self, client: httpx.AsyncClient, body: dict[str, Any], clock: Clock) -> None:
        self._client = client
        self._body = body
        self._clock = clock
        self._response: httpx.Response | None = None
        self._finished = False

    async def begin(self, headers: dict[str, str]) -> Piece:
        """The first piece. Raises `ModelFailed`."""
        request = self._client.build_request("POST", "chat/completions", json=self._body, headers=headers)
        try:
            self._response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            reason = f"the model could not be reached ({type(error).__name__})"
            raise ModelFailed(reason, AttemptOutcome.UNREACHABLE) from error
        _check(self._response, self._clock.now())
        self._bytes = self._response.aiter_bytes()
        self._pieces = _pieces(events(self._bytes))
        return await self.next()

    async def next(self) -> Piece:
        """The next piece; `Finish` is the last. Raises `ModelFailed`."""
        try:
            piece = await anext(self._pieces)
        except httpx.HTTPError as error:
            raise ModelFailed(f"the model broke off ({type(error).__name__})") from error
        except MalformedStream as error:
            raise ModelFailed(NO_COMPLETION, AttemptOutcome.MALFORMED) from error
        self._finished = isinstance(piece, Finish)
        return piece

    async def aclose(self) -> None:
        """Stop it: a server that is worth its name then stops computing."""
        if self._response is not None:
            if self._finished:
                await self._read_out()
            await self._response.aclose()

    async def _read_out(self) -> None:
        """The end of the body, without which the connection could not be used again."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(READ_OUT_SECONDS):
                async for _ in self._bytes:
                    pass


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
            raise ModelFailed(NO_COMPLETION, AttemptOutcome.MALFORMED) from error


async def _pieces(stream: AsyncIterator[str]) -> AsyncGenerator[Piece, None]:
    """Texts, then how it ended. Raises `ModelFailed` for a stream that ends before its end."""
    finish, reason = Finish(), None
    async for data in stream:
        if data.strip() == "[DONE]":
            break
        chunk = Chunk.parse(data)
        reason = chunk.finish_reason or reason
        finish = replace(finish, usage=chunk.usage or finish.usage)
        if chunk.text:
            yield chunk.text
    if reason is None:
        raise ModelFailed("the model broke off")
    yield replace(finish, ended_itself=reason != "length")


def _check(response: httpx.Response, now: datetime) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        return
    retry_after = _seconds(response.headers.get("retry-after", ""), now)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        outcome, reason = AttemptOutcome.RATE_LIMITED, f"the model answered with status {status}"
    elif status >= httpx.codes.INTERNAL_SERVER_ERROR:
        outcome, reason = AttemptOutcome.SERVER_ERROR, f"the model answered with status {status}"
    elif status in CONFIGURATION_STATUSES:
        outcome = AttemptOutcome.MISCONFIGURED
        reason = f"the model refused the request with status {status}: a configuration error"
    else:
        outcome, reason = AttemptOutcome.REJECTED, f"the model refused the request with status {status}"
    raise ModelFailed(reason, outcome, retry_after=retry_after)


def _seconds(retry_after: str, now: datetime) -> float | None:
    """What the header asks for: a number of seconds, or a date (RFC 9110, 10.2.3); None where it asks for nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


@asynccontextmanager
async def _by(moment: float, reason: str) -> AsyncIterator[None]:
    """Raise `ModelFailed` if the body is not done by *moment*, in seconds of the event loop."""
    try:
        async with asyncio.timeout_at(moment):
            yield
    except TimeoutError as error:
        raise ModelFailed(reason, AttemptOutcome.TIMED_OUT) from error


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
