"""Runs a service until it is told to stop or a part of it fails, and stops it in the right order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from plumbline_kit.rpc import Server
from plumbline_kit.settings import ServiceSettings
from plumbline_kit.telemetry import Telemetry

log = structlog.get_logger()

FLUSH_SECONDS = 5.0


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

    async def run(self) -> int:
        """The exit code: 0 after SIGTERM or SIGINT, 1 after a failure."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        tasks = [
            asyncio.create_task(part.run(), name=type(part).__name__) for part in (*self._background, *self._consumers)
        ]
        try:
            await self._server.start()
            failed = await _first_failure(tasks, stop)
        finally:
            await self._stop(tasks)
        return 1 if failed else 0

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        log.info("service_stopping")
        await self._server.stop(self._settings.drain_seconds)
        for parts in (self._consumers, self._background):
            await asyncio.gather(*(_attempt(part.stop()) for part in parts))
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._publisher is not None:
            await _attempt(self._publisher.flush(FLUSH_SECONDS))
            await _attempt(self._publisher.close())
        for close in self._closing:
            await _attempt(close())
        log.info("service_stopped")
        await asyncio.to_thread(self._telemetry.shutdown)


async def _first_failure(tasks: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> bool:
    """Wait until told to stop (False) or until a task ends by itself, which none of them may (True)."""
    told = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {told}:
        log.error("part_failed", part=task.get_name(), exc_info=task.exception())
    told.cancel()
    return bool(done - {told})


async def _attempt(step: Awaitable[None]) -> None:
    """One step of a stop: its failure is logged and does not keep the next ones from their turn."""
    try:
        await step
    except Exception as error:
        log.error("stop_step_failed", exc_info=error)
