"""What every command has: settings, two consoles, channels that carry the caller's token."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console

from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_cli.console import PlainConsole
from plumbline_cli.problems import Problem, calling
from plumbline_cli.settings import Settings
from plumbline_kit.rpc import open_channel

T = TypeVar("T")

IDEMPOTENT: Final = (
    "plumbline.retrieval.v1.RetrievalService/WaitForDocument",
    "plumbline.retrieval.v1.RetrievalService/GetDocument",
    "plumbline.evaluation.v1.EvaluationService/GetEvaluation",
    "plumbline.cache.v1.CacheService/GetStats",
    "plumbline.cache.v1.CacheService/ListTopEntries",
    "plumbline.cache.v1.CacheService/ExplainLookup",
)

Json = Annotated[
    bool, typer.Option("--json", help="Machine output on stdout: one JSON document, or one object a line.")
]


@dataclass(frozen=True)
class Session:
    """One run of the command line. Results go to *out*, everything else to *err*."""

    settings: Settings
    out: Console = field(default_factory=PlainConsole)
    err: Console = field(default_factory=lambda: PlainConsole(stderr=True))

    @asynccontextmanager
    async def channel(self, service: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to *service*; what fails on it leaves as a `Problem`."""
        address = self.settings.addresses[service]
        async with open_channel(address, token=self.token(), idempotent=IDEMPOTENT) as channel:
            with calling(service, address):
                yield channel

    def retrieval(self, use: Callable[[Any], Awaitable[T]]) -> T:
        """What *use* makes of a stub of retrieval."""

        async def call() -> T:
            async with self.channel("retrieval") as channel:
                return await use(RetrievalServiceStub(channel))

        return asyncio.run(call())

    def token(self) -> str:
        """The caller's token. Raises `Problem` when there is none."""
        if self.settings.token:
            return self.settings.token
        try:
            return self.settings.token_file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise Problem(
                "there is no token yet: start the platform with `plumbline up`, or set PLUMBLINE_TOKEN"
            ) from error

    def emit(self, content: Mapping[str, Any] | list[Any]) -> None:
        """Print machine output: one line."""
        typer.echo(json.dumps(content, ensure_ascii=False))


def as_dict(message: Message) -> dict[str, Any]:
    """A contract message as JSON holds it, every field of it under the contract's names."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
