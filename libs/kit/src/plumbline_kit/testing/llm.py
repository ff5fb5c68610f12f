"""A model that obeys: an OpenAI-compatible server with settable words, vectors, delays, speed and failures.

Run it with `python -m plumbline_kit.testing.llm --port 7113`; it serves until it is interrupted.
"""

import argparse
import asyncio
import contextlib
import json
import re
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any, Final, Self

from plumbline_kit.addresses import HOST

Message = Mapping[str, str]
Script = Callable[[Sequence[Message]], str]
Embedding = Callable[[str], Sequence[float]]
Relevance = Callable[[str, str], float]

MODEL: Final = "fake"
AT_ONCE: Final = float("inf")
PASSAGE: Final = re.compile(r"^\[1\] (?:[^\n:]*: )?(.+?[.!?])(?=\s|$)", re.MULTILINE)
TOKEN: Final = re.compile(r"\s*\S+")
WORD: Final = re.compile(r"\w+")
DIMENSIONS: Final = 16
MAX_CHUNK: Final = 65_536
CHAT: Final = "/v1/chat/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RERANK: Final = "/v1/rerank"


def first_sentence(messages: Sequence[Message]) -> str:
    """The first sentence of the first passage "[1] title: text" of the prompt."""
    found = PASSAGE.search(messages[-1]["content"])
    return found.group(1) if found else "I do not know."


def counted_words(text: str) -> list[float]:
    """As close to another text's as the words that they share; of no particular length."""
    counts = [0.01] * DIMENSIONS
    for word in WORD.findall(text.lower()):
        counts[zlib.crc32(word.encode()) % DIMENSIONS] += 1
    return counts


def shared_words(query: str, document: str) -> float:
    """The share of the query's words that the document holds."""
    asked, held = (set(WORD.findall(text.lower())) for text in (query, document))
    return len(asked & held) / len(asked) if asked else 0.0


@dataclass(frozen=True)
class Failure:
    """How a request goes wrong."""

    status: int = 200
    """Anything but 200 is answered at once, without an answer."""
    retry_after: str = ""
    """The header of that name beside such a status."""
    drop_after: int | None = None
    """The connection breaks after so many tokens; where there are none, before the answer."""
    hang: bool = False
    """Nothing is ever answered, or nothing more."""
    garbage: str = ""
    """Streamed as the data of every event of a token; where there are none, the whole answer."""
    raw: bytes = b""
    """Streamed in place of every event of a token, as it is."""
    after: int = 0
    """So many tokens come as they should before the stream hangs or holds something else."""
    byte_by_byte: bool = False
    """Every byte of the stream is a chunk of its own, so that characters are cut."""
    endless: bool = False
    """The tokens come again and again."""
    share: float = 1.0
    """So large a share of the requests goes wrong, evenly: at 0.3 the fourth, the seventh, the tenth and so on."""
    times: int | None = None
    """So many requests go wrong, then none does; None: all of them."""

    async def sent(self, number: int, token_event: str) -> bytes:
        """What goes out in place of the event of the token of that 0-based number."""
        if number < self.after:
            return _event(token_event)
        if self.hang:
            await asyncio.Event().wait()
        return self.raw or _event(self.garbage or token_event)


WELL: Final = Failure()


@dataclass
class FakeLLM:
    """Runs while its context lasts. Everything may be set at any time. A token is a word with the space before it."""

    script: Script = first_sentence
    embed: Embedding = counted_words
    rank: Relevance = shared_words
    first_token_seconds: float = 0.0
    tokens_per_second: float = AT_ONCE
    keeps: bool = True
    """False: a connection serves one answer and ends, without a header that says so, while the next request is under
    way on it, which is never read."""
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that were received, oldest first."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Their headers, names in lower case."""
    serves: Collection[str] = ()
    """The models that it knows; none: it answers for any."""
    tokens_sent: int = 0
    """In streams."""
    abandoned: int = 0
    """How many requests for an answer lost their caller before the end."""
    connections: int = 0
    """How many were opened."""
    most_at_once: int = 0
    """How many of those were at work at the same time, at most."""
    _failure: Failure = WELL
    _at_work: int = 0
    _due: float = 0.0

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: asyncio.StreamReaderProtocol(_Reader(), self._connected), HOST, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @contextmanager
    def failing(self, **how: Any) -> Iterator[None]:
        """Let requests go wrong as `Failure` says."""
        self._failure = Failure(**how)
        try:
            yield
        finally:
            self._failure = WELL

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, _Reader)
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(lambda done: self._connections.pop(done).close())
        reader.on_end = task.cancel

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                if not self.keeps:
                    await reader.read(1)
                    return

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request. Whether the connection goes on."""
        method, path, headers = _parsed((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        match method, path:
            case "POST", _ if path in (CHAT, EMBEDDINGS, RERANK):
                self.headers.append(headers)
                self.requests.append(json.loads(body))
                return await self._complete(writer, path, self.requests[-1])
            case "GET", "/v1/models":
                return await _send(writer, 200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
            case "GET", "/health":
                return await _send(writer, 200, {"status": "ok"})
        return await _send(writer, 404, {"error": {"message": f"no {method} {path} here"}})

    async def _complete(self, writer: asyncio.StreamWriter, path: str, request: dict[str, Any]) -> bool:
        self._at_work += 1
        self.most_at_once = max(self.most_at_once, self._at_work)
        try:
            return await self._reply(writer, path, request, self._next_failure())
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned += 1
            raise
        finally:
            self._at_work -= 1

    def _next_failure(self) -> Failure:
        failure = self._failure
        if failure.times == 0:
            return WELL
        self._due += failure.share
        if self._due < 1:
            return WELL
        self._due -= 1
        if failure.times is not None:
            self._failure = replace(failure, times=failure.times - 1)
        return failure

    async def _reply(self, writer: asyncio.StreamWriter, path: str, request: dict[str, Any], failure: Failure) -> bool:
        if failure.hang and not failure.after:
            await asyncio.Event().wait()
        if failure.status != 200:
            extra = f"Retry-After: {failure.retry_after}\r\n" if failure.retry_after else ""
            return await _send(writer, failure.status, {"error": {"message": "told to fail"}}, extra)
        if self.serves and request.get("model") not in self.serves:
            error = {"message": f"the model {request.get('model')!r} does not exist", "code": "model_not_found"}
            return await _send(writer, 404, {"error": error})
        if self.first_token_seconds:
            await asyncio.sleep(self.first_token_seconds)
        if path != CHAT:
            return await self._compute(writer, path, request, failure)
        completion = _Completion.of(self.script(request["messages"]), request)
        if not request.get("stream"):
            return await _send(writer, 200, completion.whole())
        return await self._stream(writer, completion, failure)

    async def _compute(
        self, writer: asyncio.StreamWriter, path: str, request: dict[str, Any], failure: Failure
    ) -> bool:
        if failure.drop_after is not None:
            return False
        if failure.garbage:
            return await _send_body(writer, 200, failure.garbage.encode())
        return await _send(writer, 200, self._embedded(request) if path == EMBEDDINGS else self._ranked(request))

    def _embedded(self, request: dict[str, Any]) -> dict[str, Any]:
        texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
        data = [
            {"object": "embedding", "index": number, "embedding": list(self.embed(text))}
            for number, text in enumerate(texts)
        ]
        asked = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": asked, "total_tokens": asked}
        return {"object": "list", "model": MODEL, "data": data, "usage": usage}

    def _ranked(self, request: dict[str, Any]) -> dict[str, Any]:
        results = [
            {"index": number, "relevance_score": self.rank(request["query"], document)}
            for number, document in enumerate(request["documents"])
        ]
        results.sort(key=lambda result: -result["relevance_score"])  # best first, as real ones answer
        return {"model": MODEL, "results": results}

    async def _stream(self, writer: asyncio.StreamWriter, completion: "_Completion", failure: Failure) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        tokens: Iterable[str] = completion.tokens[: failure.drop_after]
        async for number, token in self._paced(cycle(tokens) if failure.endless else tokens):
            sent = await failure.sent(number, completion.token_event(token))
            _write_chunks(writer, sent, 1 if failure.byte_by_byte else len(sent))
            await writer.drain()
            self.tokens_sent += 1
        if failure.drop_after is not None:
            return False
        for event in completion.last_events():
            _write_chunks(writer, _event(event), MAX_CHUNK)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _paced(self, tokens: Iterable[str]) -> AsyncIterator[tuple[int, str]]:
        for number, token in enumerate(tokens):
            yield number, token
            if self.tokens_per_second != AT_ONCE:
                await asyncio.sleep(1 / self.tokens_per_second)


class _Reader(asyncio.StreamReader):
    """Tells at once when its caller goes, whether anybody reads or not."""

    on_end: Callable[[], object] | None = None

    def feed_eof(self) -> None:
        super().feed_eof()
        self._end()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._end()

    def _end(self) -> None:
        if self.on_end:
            self.on_end()


@dataclass(frozen=True)
class _Completion:
    """One answer, in the forms in which the API gives it."""

    id: str
    tokens: list[str]
    finish_reason: str
    usage: dict[str, int]

    @classmethod
    def of(cls, text: str, request: dict[str, Any]) -> Self:
        tokens, limit = TOKEN.findall(text), request.get("max_tokens")
        asked = sum(len(message["content"].split()) for message in request["messages"])
        written = tokens[:limit]
        usage = {"prompt_tokens": asked, "completion_tokens": len(written), "total_tokens": asked + len(written)}
        return cls(f"chatcmpl-{uuid.uuid4().hex}", written, "stop" if written == tokens else "length", usage)

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": "".join(self.tokens)}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return {"id": self.id, "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": self.usage}

    def token_event(self, token: str) -> str:
        return self._chunk([{"index": 0, "delta": {"content": token}, "finish_reason": None}])

    def last_events(self) -> list[str]:
        end = self._chunk([{"index": 0, "delta": {}, "finish_reason": self.finish_reason}])
        return [end, self._chunk([], usage=self.usage), "[DONE]"]

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> str:
        return json.dumps(
            {"id": self.id, "object": "chat.completion.chunk", "model": MODEL, "choices": choices} | more,
            ensure_ascii=False,  # as servers send it
        )


def _parsed(head: str) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers."""
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in headers}


async def _send(writer: asyncio.StreamWriter, status: int, content: dict[str, Any], extra: str = "") -> bool:
    return await _send_body(writer, status, json.dumps(content).encode(), extra)


async def _send_body(writer: asyncio.StreamWriter, status: int, body: bytes, extra: str = "") -> bool:
    head = f"HTTP/1.1 {status} told\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def _write_chunks(writer: asyncio.StreamWriter, body: bytes, size: int) -> None:
    for start in range(0, len(body), size):
        part = body[start : start + size]
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))


async def _run(port: int) -> None:
    async with FakeLLM(port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args().port))
