"""`LanguageModel` on any server with OpenAI's chat completions API: vLLM, llama.cpp, Ollama, a vendor."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from plumbline_generation.adapters.event_stream import EventReader, MalformedStream
from plumbline_generation.adapters.spans import chat_span, tell_finish, tell_first_token, trace_headers
from plumbline_generation.domain.attempts import NOT_COUNTED, AttemptOutcome, Usage
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_kit.clock import Clock
from plumbline_kit.release import ModelSettings

CONNECT_SECONDS: Final = 2.0
KEEP_SECONDS: Final = 60.0
READ_OUT_SECONDS: Final = 0.05
NO_COMPLETION: Final = "the model sent something else than a chat completion"
NO_END: Final = "the model wrote far more than it was asked for"
MAX_TOKEN_CHARACTERS: Final = 128
"""No vocabulary has longer tokens; a text that is longer than so many for each token allowed knows no limit."""
CONFIGURATION_STATUSES: Final = (401, 403, 404, 405)
COUNTED: Final = ("prompt_tokens", "completion_tokens")
MOST_TOKENS: Final = 2**31 - 1
"""What a record can hold."""

_HALF: Final = re.compile("[\ud800-\udfff]")
"""Of a character: some servers cut UTF-16, and JSON can say so."""

Piece = str | Finish


class ApiClient:
    """A pool of kept connections to one API. Proxies named in the environment are not used. Needs an event loop."""

    def __init__(self, base_url: str, api_key: str, *, connections: int) -> None:
        self.url = URL(base_url) / "chat/completions"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._kept = _session(
            aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_SECONDS), headers, [_tells_of_kept()]
        )
        self._fresh = _session(aiohttp.TCPConnector(limit=connections, force_close=True), headers)

    async def post(self, body: dict[str, Any], headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The head of the response. Raises `aiohttp.ClientError`.

        A server may end a kept connection while the next request is on its way. That request was not read, so it is
        sent once more, on a connection of its own.
        """
        sent = Sent()
        try:
            return await self._kept.post(
                self.url, json=body, headers=headers, allow_redirects=False, trace_request_ctx=sent
            )
        except aiohttp.ClientConnectionError:
            if not sent.on_kept_connection:
                raise
        return await self._fresh.post(self.url, json=body, headers=headers, allow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._kept.close()
        await self._fresh.close()


@dataclass(slots=True)
class Sent:
    """How a request was sent."""

    on_kept_connection: bool = False


def _session(
    connector: aiohttp.TCPConnector, headers: dict[str, str], traces: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers=headers,
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),  # each call bounds the rest
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=traces,
    )


def _tells_of_kept() -> aiohttp.TraceConfig:
    """Tells the `Sent` of a request when it goes out on a connection that was used before."""

    async def note(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.on_kept_connection = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


class OpenAIModel:
    """Asks once. Who asks again, and when, is the route's business."""

    def __init__(
        self, client: ApiClient, settings: ModelSettings, *, endpoint: str, clock: Clock, takes_schema: bool = False
    ) -> None:
        """*endpoint* is the name by which spans know it; *takes_schema*: it can be held to a JSON schema."""
        self._client = client
        self._settings = settings
        self._endpoint = endpoint
        self._clock = clock
        self._takes_schema = takes_schema

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[Piece, None]:
        """See `LanguageModel`. Tokens that arrive together are one piece."""
        now = asyncio.get_running_loop().time()
        settings = _asked(prompt, self._settings)
        with chat_span(settings, self._client.url, self._endpoint) as span:
            body = _body(prompt, settings)
            if prompt.json_schema and self._takes_schema:
                body |= _response_format(prompt.json_schema)
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

    def __init__(self, client: ApiClient, body: dict[str, Any], clock: Clock) -> None:
        self._client = client
        self._body = body
        self._clock = clock
        self._response: aiohttp.ClientResponse | None = None
        self._said = CompletionReader(MAX_TOKEN_CHARACTERS * body["max_tokens"])
        self._failure: ModelFailed | None = None

    async def begin(self, headers: dict[str, str]) -> Piece:
        """The first piece. Raises `ModelFailed`."""
        try:
            self._response = await self._client.post(self._body, headers)
        except aiohttp.ClientError as error:
            reason = f"the model could not be reached ({type(error).__name__})"
            raise ModelFailed(reason, AttemptOutcome.UNREACHABLE) from error
        _check(self._response, self._clock.now())
        return await self.next()

    async def next(self) -> Piece:
        """The next piece; `Finish` is the last. Raises `ModelFailed`."""
        while self._failure is None and self._said.finish is None:
            if text := self._text(await self._read()):
                return text
        if self._failure is not None:
            raise self._failure
        assert self._said.finish is not None
        return self._said.finish

    async def aclose(self) -> None:
        """Stop it: a server that is worth its name then stops computing."""
        if self._response is not None:
            if self._said.finish is not None:
                await self._read_out(self._response.content)
            self._response.close()

    async def _read(self) -> bytes:
        """What has come since the last look, at least a byte; none at the end of the stream."""
        assert self._response is not None
        content = self._response.content
        try:
            return await content.readany()
        except aiohttp.ClientError as error:
            self._failure = ModelFailed(f"the model broke off ({type(error).__name__})")
            self._failure.__cause__ = error
            return content._read_nowait(-1)  # what came before the break, which the public methods keep to themselves

    def _text(self, read: bytes) -> str:
        """What *read* adds to the text. A failure in it is kept for when that has been told."""
        texts: list[str] = []
        try:
            texts.extend(self._said.take(read))
        except ModelFailed as failed:
            self._failure = failed
        return "".join(texts)

    async def _read_out(self, content: aiohttp.StreamReader) -> None:
        """The end of the body, without which the connection could not be used again."""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(READ_OUT_SECONDS):
                while not content.at_eof():
                    await content.readany()


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
            usage = Usage(*(_tokens(counted[name]) for name in COUNTED)) if counted else None
            return cls(str(choice["delta"].get("content") or ""), choice.get("finish_reason"), usage)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise ModelFailed(NO_COMPLETION, AttemptOutcome.MALFORMED) from error


def _tokens(value: Any) -> int:
    """Raises `ValueError` for a number that is no count of tokens."""
    count = int(value)
    if not 0 <= count <= MOST_TOKENS:
        raise ValueError(f"{count} tokens")
    return count


class CompletionReader:
    """Takes the bytes of a streamed completion, cut anywhere, and tells the text and how it ended."""

    def __init__(self, max_characters: int) -> None:
        """A text longer than *max_characters* is none that was asked for."""
        self._left = max_characters
        self.finish: Finish | None = None
        """Set once the completion has ended."""
        self._events = EventReader()
        self._usage = NOT_COUNTED
        self._reason: str | None = None
        self._half = ""

    def take(self, read: bytes) -> Iterator[str]:
        """The texts that *read* completes; without any bytes the stream has ended.

        Raises `ModelFailed` for what is no completion, or one that ends before its end.
        """
        if not read:
            return self._end()
        try:
            for data in self._events.take(read):
                if data.strip() == "[DONE]":
                    return self._end()
                if text := self._take(Chunk.parse(data)):
                    yield text
        except MalformedStream as error:
            raise ModelFailed(NO_COMPLETION, AttemptOutcome.MALFORMED) from error

    def _take(self, chunk: "Chunk") -> str:
        self._reason = chunk.finish_reason or self._reason
        self._usage = chunk.usage or self._usage
        self._left -= len(chunk.text)
        if self._left < 0:
            raise ModelFailed(NO_END, AttemptOutcome.MALFORMED)
        return self._whole(chunk.text)

    def _whole(self, text: str) -> str:
        """*text* with the character that the last one began, and without the one that it begins."""
        text, self._half = self._half + text, ""
        if not _HALF.search(text):
            return text
        if "\ud800" <= text[-1] < "\udc00":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _end(self) -> None:
        if self._reason is None:
            raise ModelFailed("the model broke off")
        self.finish = Finish(self._reason != "length", self._usage)


def _check(response: aiohttp.ClientResponse, now: datetime) -> None:
    status = response.status
    if status == HTTPStatus.OK:
        return
    retry_after = _seconds(response.headers.get("retry-after", ""), now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        outcome, reason = AttemptOutcome.RATE_LIMITED, f"the model answered with status {status}"
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
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
    except (ValueError, OverflowError):
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


def _asked(prompt: Prompt, settings: ModelSettings) -> ModelSettings:
    tokens = settings.max_tokens if prompt.max_tokens is None else min(prompt.max_tokens, settings.max_tokens)
    temperature = settings.temperature if prompt.temperature is None else prompt.temperature
    seed = settings.seed if prompt.seed is None else prompt.seed
    stop = () if prompt.json_schema else settings.stop  # texts that end an answer may stand within JSON
    return replace(settings, max_tokens=tokens, temperature=temperature, seed=seed, stop=stop)


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


def _response_format(schema: str) -> dict[str, Any]:
    named = {"name": "answer", "schema": json.loads(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
