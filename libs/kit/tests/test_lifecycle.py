"""Service: in which order it stops, what makes it fail, and that a signal costs no call."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from structlog.testing import capture_logs

from plumbline_kit.lifecycle import Service
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.telemetry import Telemetry
from plumbline_kit.testing import eventually, make_verifier, test_settings, token

SLOW_SERVICE = Path(__file__).with_name("slow_service.py")


class Diary:
    """Parts of a service that write down when they are stopped."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def wrote(self, step: str) -> Callable[[], Awaitable[None]]:
        async def write() -> None:
            self.steps.append(step)

        return write


class Part:
    """Runs until it is stopped or until *failing* lets it fail."""

    def __init__(self, diary: Diary, name: str, failing: Callable[[], Awaitable[None]] | None = None) -> None:
        self._diary, self._name, self._failing = diary, name, failing
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        if self._failing is not None:
            await self._failing()
        else:
            await self._stopped.wait()

    async def stop(self) -> None:
        self._diary.steps.append(f"stop {self._name}")
        self._stopped.set()


class Publisher:
    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    async def flush(self, seconds: float) -> None:
        self._diary.steps.append("flush Kafka")

    async def close(self) -> None:
        self._diary.steps.append("close Kafka")


class Exports(Telemetry):
    def __init__(self, diary: Diary) -> None:
        super().__init__(TracerProvider(), MeterProvider(), ())
        self._diary = diary

    def shutdown(self) -> None:
        self._diary.steps.append("flush telemetry")
        super().shutdown()


class SlowDesk:
    """One rpc that goes on until it is released."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.started, self.release = asyncio.Event(), asyncio.Event()

    async def answer(self, request: bytes, context: Any) -> bytes:
        self.started.set()
        await self.release.wait()
        self._diary.steps.append("answer rpc")
        return request

    def handlers(self) -> grpc.GenericRpcHandler:
        method = grpc.unary_unary_rpc_method_handler(self.answer)
        return grpc.method_handlers_generic_handler("test.Desk", {"Answer": method})


def build(diary: Diary, *, consumer: Part | None = None, background: Part | None = None, **options: Any) -> Any:
    """A service of every kind of part, its server and its desk."""
    settings = test_settings("desk", **options)
    server = Server(settings, make_verifier(), scopes={"/test.Desk/Answer": "ask"})
    desk = SlowDesk(diary)
    server.grpc.add_generic_rpc_handlers([desk.handlers()])
    service = Service(
        settings,
        server,
        telemetry=Exports(diary),
        consumers=[consumer or Part(diary, "consumer")],
        background=[background or Part(diary, "background")],
        publisher=Publisher(diary),
        closing=[diary.wrote("close pool")],
    )
    return service, server, desk


AFTER_THE_PARTS = ["flush Kafka", "close Kafka", "close pool", "flush telemetry"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything_in_order_and_finishes_the_calls(number: signal.Signals) -> None:
    diary = Diary()
    service, server, desk = build(diary)
    running = asyncio.create_task(service.run())
    await eventually(lambda: server.port)
    async with open_channel(f"127.0.0.1:{server.port}", token=token()) as channel:
        call = channel.unary_unary("/test.Desk/Answer")(b"a", timeout=10)
        await desk.started.wait()
        os.kill(os.getpid(), number)
        await asyncio.sleep(0)
        desk.release.set()
        assert await call == b"a"
    assert await running == 0
    assert diary.steps == ["answer rpc", "stop consumer", "stop background", *AFTER_THE_PARTS]


async def crash() -> None:
    raise RuntimeError("no")


async def end() -> None:
    pass


@pytest.mark.parametrize("ending", [crash, end], ids=["raises", "ends by itself"])
@pytest.mark.parametrize("role", ["consumer", "background"])
async def test_a_part_that_fails_stops_the_service_with_exit_code_one(
    role: str, ending: Callable[[], Awaitable[None]]
) -> None:
    diary = Diary()
    service, _, _ = build(diary, **{role: Part(diary, role, ending)})
    with capture_logs() as logged:
        assert await service.run() == 1
    assert diary.steps == ["stop consumer", "stop background", *AFTER_THE_PARTS]
    assert [line["part"] for line in logged if line["event"] == "part_failed"] == ["Part"]


async def test_a_taken_port_stops_the_service_with_exit_code_one() -> None:
    diary = Diary()
    with socket.create_server(("127.0.0.1", 0)) as other, capture_logs() as logged:
        port = other.getsockname()[1]
        assert await build(diary, port=port)[0].run() == 1
    assert diary.steps[-1] == "flush telemetry"
    assert any(str(port) in str(line.get("exc_info")) for line in logged)


class Stubborn(Part):
    """Fails at its own stop."""

    async def stop(self) -> None:
        self._stopped.set()
        await super().stop()
        raise RuntimeError("not I")


async def test_a_step_that_fails_keeps_no_other_from_its_turn() -> None:
    diary = Diary()
    service, server, _ = build(diary, consumer=Stubborn(diary, "consumer"))
    running = asyncio.create_task(service.run())
    await eventually(lambda: server.port)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    assert diary.steps == ["stop consumer", "stop background", *AFTER_THE_PARTS]


async def test_a_part_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline_kit.lifecycle.STEP_SECONDS", 0.1)
    diary = Diary()
    service, server, _ = build(diary, background=Part(diary, "background", lambda: asyncio.sleep(60)))
    running = asyncio.create_task(service.run())
    await eventually(lambda: server.port)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 5) == 0
    assert diary.steps[-1] == "flush telemetry"


@pytest.fixture
async def slow_service() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, SLOW_SERVICE, stderr=asyncio.subprocess.PIPE)
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_a_process_that_gets_sigterm_during_a_call_finishes_it(slow_service: asyncio.subprocess.Process) -> None:
    bearer = (await next_line(slow_service, "token_made"))["token"]
    port = (await next_line(slow_service, "server_started"))["port"]
    async with open_channel(f"127.0.0.1:{port}", token=bearer) as channel:
        call = channel.unary_unary("/test.Desk/Answer")(b"a", timeout=10)
        await next_line(slow_service, "call_started")
        slow_service.send_signal(signal.SIGTERM)
        await next_line(slow_service, "service_stopping")
        assert await call == b"a"
    await next_line(slow_service, "service_stopped")
    assert await asyncio.wait_for(slow_service.wait(), 10) == 0


async def next_line(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """The next line that the process logs, which is of *event*."""
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), 20)
    assert event in line.decode()
    return dict(json.loads(line))
