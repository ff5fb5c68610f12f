"""The load generator of `bench-generation`: asks a target with so many streams at once, for so long."""

import argparse
import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import grpc

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from plumbline_kit.release import load_release
from plumbline_models.encoder import Encoder
from tests.bench.questions import FIRST_SENTENCE_TOKENS, Questions, fact
from tests.bench.worker import serve

QUESTIONS: Final = 1_500
KNOWN_QUESTIONS: Final = 50
"""Of a target whose passages were all seen before; its warm-up asks more than that."""
TIMEOUT: Final = 30.0

Arrival = tuple[float, int]
"""When some of the body came, and how long it was then."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came, and when: seconds from the request on."""

    first_s: float
    """To the first token."""
    sentence_s: float
    """To the first token after the first sentence."""
    total_s: float
    body: str


class Ask(Protocol):
    """A target."""

    questions: int
    """How many it can be asked, by their numbers from 0 on."""

    def __call__(self, number: int) -> Awaitable[Reply]:
        """Ask one."""
        ...


@dataclass
class Load:
    """What came of one measurement."""

    first_s: list[float] = field(default_factory=list)
    sentence_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    tokens: int = 0
    wrong: int = 0
    """Answers that were not, to the letter, what the model said."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of the load generator itself."""


class Service:
    """Ours, over gRPC."""

    def __init__(self, questions: Questions, address: str, token: str, *, known: bool = False) -> None:
        """Asked about passages that were never seen before, or *known*: about the same ones again and again."""
        self.questions = KNOWN_QUESTIONS if known else QUESTIONS
        self._known = known
        self._stub = GenerationServiceStub(grpc.aio.insecure_channel(address))
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._requests = [questions.request(number) for number in range(self.questions)]
        self._again = questions.request

    async def __call__(self, number: int) -> Reply:
        request = self._requests[number]
        if self._known:
            request.answer_id = str(uuid.uuid4())
        else:
            self._requests[number] = self._again(number)  # the next time it is another answer
        began = first = time.perf_counter()
        pieces: list[str] = []
        async for message in self._stub.GenerateAnswer(request, metadata=self._metadata, timeout=TIMEOUT):
            if not pieces and message.text_delta:
                first = time.perf_counter()
            pieces.append(message.text_delta)
        end = time.perf_counter()
        whole = message.completed.answer.outcome == common_pb.ANSWER_OUTCOME_ANSWERED and message.completed.recorded
        return Reply(first - began, first - began, end - began, "".join(pieces) if whole else "")


class Completions:
    """A server with OpenAI's API, over HTTP/1.1 with as little of a client as there can be."""

    questions = QUESTIONS

    def __init__(self, questions: Questions, url: str, key: str, *, stream: bool) -> None:
        host, _, port = url.rpartition(":")
        self._address = host, int(port)
        requests = map(questions.request, range(QUESTIONS))
        self._requests = [self._head(questions.completion(one, stream=stream), key) for one in requests]
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._read = _read_events if stream else _read_whole

    async def __call__(self, number: int) -> Reply:
        reader, writer = await self._connection()
        began = time.perf_counter()
        writer.write(self._requests[number])
        head = await reader.readuntil(b"\r\n\r\n")
        arrivals, body = await self._read(reader, head)
        self._idle.append((reader, writer))
        if not head.startswith(b"HTTP/1.1 200"):
            body = b""
        first, sentence = (_nth_event(arrivals, body, count) for count in (1, FIRST_SENTENCE_TOKENS + 1))
        return Reply(first - began, sentence - began, arrivals[-1][0] - began, body.decode())

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # some servers close what was idle for a while
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)

    def _head(self, completion: dict[str, Any], key: str) -> bytes:
        body = json.dumps(completion).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self._address[0]}\r\nAuthorization: Bearer {key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _read_events(reader: asyncio.StreamReader, head: bytes) -> tuple[list[Arrival], bytes]:
    arrivals, body = [], b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
        arrivals.append((time.perf_counter(), len(body)))
    await reader.readexactly(2)
    return arrivals, body


async def _read_whole(reader: asyncio.StreamReader, head: bytes) -> tuple[list[Arrival], bytes]:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
    return [(time.perf_counter(), len(body))], body


def _nth_event(arrivals: Sequence[Arrival], body: bytes, count: int) -> float:
    """When the *count*-th event was there, or the end."""
    return next((at for at, size in arrivals if body.count(b"data: ", 0, size) >= count), arrivals[-1][0])


def _said(reply: str) -> str:
    """What a completion says, streamed or not."""
    if not reply.startswith("data:"):
        return str(json.loads(reply)["choices"][0]["message"]["content"]) if reply.startswith("{") else reply
    lines = (line.removeprefix("data: ") for line in reply.split("\n") if line.startswith("data: "))
    events = (json.loads(line) for line in lines if line != "[DONE]")
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def measure(ask: Ask, numbers: "itertools.count[int]", streams: int, seconds: float) -> Load:
    """*streams* callers, each asking again as soon as it has its answer, until the time is over."""
    load, texts = Load(), list[tuple[int, str]]()
    began, cpu = time.perf_counter(), time.process_time()

    async def caller() -> None:
        while time.perf_counter() < began + seconds:
            number = next(numbers) % ask.questions
            reply = await ask(number)
            load.first_s.append(reply.first_s)
            load.sentence_s.append(reply.sentence_s)
            load.total_s.append(reply.total_s)
            texts.append((number, reply.body))

    await asyncio.gather(*(caller() for _ in range(streams)))
    load.seconds, load.cpu_s = time.perf_counter() - began, time.process_time() - cpu
    said = [(fact(number), _said(text)) for number, text in texts]
    load.wrong = sum(wanted != text for wanted, text in said)
    load.tokens = sum(len(text.split()) for _, text in said)
    return load


async def main(options: argparse.Namespace) -> None:
    """Answer `{"target": …, "streams": …, "seconds": …}` with a `Load`."""
    offsets = Encoder.load(options.encoder, threads=1).offsets
    questions = Questions(load_release(options.release[0]), offsets)
    marking = Questions(load_release(options.release[1]), offsets)
    targets: dict[str, Ask] = {
        "service": Service(questions, options.service[0], options.token),
        "marking": Service(marking, options.service[1], options.token),
        "known": Service(marking, options.service[1], options.token, known=True),
    }
    for name, url in zip(("bare", "proxy"), options.urls, strict=False):
        targets[name] = Completions(questions, url, options.key, stream=True)
        targets[f"{name} unary"] = Completions(questions, url, options.key, stream=False)
    numbers = itertools.count()

    async def answer(job: dict[str, Any]) -> dict[str, Any]:
        return asdict(await measure(targets[job["target"]], numbers, job["streams"], job["seconds"]))

    await serve(answer)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in {"encoder": Path, "token": str, "key": str}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--release", type=Path, action="append", help="of the service, and of the one that marks")
    parser.add_argument("--service", action="append", help="where they listen")
    parser.add_argument("urls", nargs="+", help="host and port of the bare endpoint, and of the proxy if there is one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(main(_options()))
