"""Runs a service until it is told to stop or a part of it fails, and stops it in the right order."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NoReturn, Protocol

import structlog

from plumbline_kit.rpc import Server
from plumbline_kit.settings import ServiceSettings, SettingsError
from plumbline_kit.telemetry import Telemetry

log = structlog.get_logger()

SIGNALS = (signal.SIGTERM, signal.SIGINT)
FLUSH_SECONDS = 5.0
STEP_SECONDS = 10.0
"""What any one step of a stop may take beyond the time that it was given."""


class Runs(Protocol):
    """Something that works until it is stopped."""

    async def run(self) -> None:
        """Return once stopped; raise what went wrong."""
        ...

    async def stop(self) -> None:
        """Finish what is in hand and make `run` return."""
        ...


class Flushes(Protocol):
    """A publisher with records on their way."""

    async def flush(self, seconds: float) -> None:
        """Wait for them, at most so long."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class Service:
    """A server and what runs beside it."""

    def __init__(
        self,
        settings: ServiceSettings,
        server: Server,
        *,
        telemetry: Telemetry,
        consumers: Sequence[Runs] = (),
        background: Sequence[Runs] = (),
        publisher: Flushes | None = None,
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """*closing* runs when nothing else does any more, in order."""
        self._settings = settings
        self._server = server
        self._telemetry = telemetry
        self._consumers = consumers
        self._background = background
        self._publisher = publisher
        self._closing = closing
        self._over = asyncio.Event()
        self._failed = False

    async def run(self) -> int:
        """The exit code: 0 after SIGTERM or SIGINT, 1 after a failure. Call once."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._over.set)
        tasks = [asyncio.create_task(self._run_part(part)) for part in (*self._background, *self._consumers)]
        try:
            await self._run_server()
        finally:
            await self._stop(tasks)
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        return int(self._failed)

    async def _run_server(self) -> None:
        try:
            await self._server.start()
            await self._over.wait()
        except OSError as error:
            self._fail("Server", error)

    async def _run_part(self, part: Runs) -> None:
        """Whatever ends before it is told to has failed."""
        try:
            await part.run()
            if not self._over.is_set():
                self._fail(type(part).__name__, None)
        except Exception as error:
            self._fail(type(part).__name__, error)

    def _fail(self, part: str, error: Exception | None) -> None:
        log.error("part_failed", part=part, exc_info=error)
        self._failed = True
        self._over.set()

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        log.info("service_stopping")
        drain_seconds = self._settings.drain_seconds
        await _attempt(self._server.stop(drain_seconds), drain_seconds)
        for parts in (self._consumers, self._background):
            await asyncio.gather(*(_attempt(part.stop()) for part in parts))
        await _end(tasks)
        if self._publisher is not None:
            await _attempt(self._publisher.flush(FLUSH_SECONDS), FLUSH_SECONDS)
            await _attempt(self._publisher.close())
        for close in self._closing:
            await _attempt(close())
        log.info("service_stopped")
        await asyncio.to_thread(self._telemetry.shutdown)


def run_process(main: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run *main* and exit with its code. Wrong settings are a sentence on standard error, without a traceback."""
    try:
        sys.exit(asyncio.run(main()))
    except SettingsError as error:
        sys.exit(str(error))


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for what was told to stop, and end what does not."""
    if tasks:
        _, deaf = await asyncio.wait(tasks, timeout=STEP_SECONDS)
        for task in deaf:
            log.error("part_did_not_stop", part=repr(task.get_coro()))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _attempt(step: Awaitable[None], expected_seconds: float = 0.0) -> None:
    """One step of a stop: that it fails or hangs is logged and does not keep the next ones from their turn."""
    try:
        await asyncio.wait_for(step, expected_seconds + STEP_SECONDS)
    except Exception as error:
        log.error("stop_step_failed", step=repr(step), exc_info=error)
