"""A model that obeys: an OpenAI-compatible server with settable words, delays, speed and failures."""

import argparse
import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from plumbline_kit.addresses import HOST

Message = Mapping[str, str]
Script = Callable[[Sequence[Message]], str]

PASSAGE: Final = re.compile(r"^\[1\] (?:[^\n:]*: )?(.+?[.!?])(?=\s|$)", re.MULTILINE)


def first_sentence(messages: Sequence[Message]) -> str:
    """The first sentence of the first passage "[1] title: text" of the prompt."""
    found = PASSAGE.search(messages[-1]["content"])
    return found.group(1) if found else "I do not know."


@dataclass
class Failure:
    """How a request goes wrong."""

    status: int = 200
    """Anything but 200 is answered at once, without an answer."""
    drop_after: int | None = None
    """The connection breaks after so many tokens."""
    hang: bool = False
    """Nothing is ever answered."""
    garbage: bool = False
    """What is streamed is not what was agreed on."""


@dataclass
class FakeLLM:
    """Runs while its context lasts. Everything may be set at any time."""

    script: Script = first_sentence
    first_token_seconds: float = 0.0
    tokens_per_second: float = float("inf")
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that were received, oldest first."""
    _failure: Failure = field(default_factory=Failure)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://{HOST}:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._connections: set[asyncio.StreamWriter] = set()
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._server.close()
        for writer in self._connections:
            writer.close()
        await self._server.wait_closed()

    @contextmanager
    def failing(self, **how: Any) -> Iterator[None]:
        """Let requests go wrong as `Failure` says."""
        self._failure = Failure(**how)
        try:
            yield
        finally:
            self._failure = Failure()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await _head(reader):
                method, path, length = head
                body = await reader.readexactly(length)
                if not await self._answer(writer, method, path, body):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes) -> bool:
        """Whether the connection goes on."""
        if (method, path) == ("GET", "/health"):
            return await _send(writer, 200, {"status": "ok"})
        if (method, path) == ("GET", "/v1/models"):
            return await _send(writer, 200, {"object": "list", "data": [{"id": "fake", "object": "model"}]})
        if (method, path) != ("POST", "/v1/chat/completions"):
            return await _send(writer, 404, {"error": {"message": f"no {path} here"}})
        request = json.loads(body)
        self.requests.append(request)
        return await self._complete(writer, request, self._failure)

    async def _complete(self, writer: asyncio.StreamWriter, request: dict[str, Any], failure: Failure) -> bool:
        if failure.hang:
            await asyncio.Event().wait()
        if failure.status != 200:
            return await _send(writer, failure.status, {"error": {"message": "told to fail"}})
        await asyncio.sleep(self.first_token_seconds)
        tokens = re.findall(r"\s*\S+", self.script(request["messages"]))[: request.get("max_tokens")]
        usage = {"prompt_tokens": _count(request["messages"]), "completion_tokens": len(tokens)}
        usage["total_tokens"] = sum(usage.values())
        if not request.get("stream"):
            return await _send(writer, 200, _whole("".join(tokens), usage))
        writer.write(_START)
        async for chunk in self._chunks(tokens, usage, failure):
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        if failure.drop_after is None:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return failure.drop_after is None

    async def _chunks(self, tokens: Sequence[str], usage: dict[str, int], failure: Failure) -> AsyncIterator[bytes]:
        name = f"chatcmpl-{uuid.uuid4().hex}"
        for number, text in enumerate(tokens):
            if number == failure.drop_after:
                return
            yield b"data: {half" if failure.garbage else _event(name, [{"index": 0, "delta": {"content": text}}])
            if self.tokens_per_second != float("inf"):
                await asyncio.sleep(1 / self.tokens_per_second)
        yield _event(name, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        yield _event(name, [], usage=usage)
        yield b"data: [DONE]\n\n"


_START: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, int] | None:
    """Method, path and length of the next request; None when the caller has gone."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head.split(" ", 2)
    length = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
    return method, path, int(length.group(1)) if length else 0


async def _send(writer: asyncio.StreamWriter, status: int, content: dict[str, Any]) -> bool:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} told\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


def _whole(text: str, usage: dict[str, int]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "choices": [choice], "usage": usage}


def _event(name: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
    event = {"id": name, "object": "chat.completion.chunk", "choices": choices} | more
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _count(messages: Sequence[Message]) -> int:
    return sum(len(message["content"].split()) for message in messages)


async def _run(port: int) -> None:
    async with FakeLLM(port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args().port))
