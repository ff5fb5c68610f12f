"""What the cache does from time to time, beside all requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Retryable

log = structlog.get_logger()

EVERY_SECONDS: Final = 60.0

Chore = Callable[[], Awaitable[None]]


class Housekeeping:
    """Does its chores every minute and once more when it is stopped; what goes wrong is logged and tried again."""

    def __init__(self, chores: Sequence[Chore], clock: Clock) -> None:
        self._chores = chores
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        repeating = asyncio.create_task(self._repeat())
        await self._stopping.wait()
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)
        await self.once()

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    async def once(self) -> None:
        """Every chore once, whatever becomes of the others."""
        for chore in self._chores:
            try:
                await chore()
            except Retryable as error:
                log.warning("chore_failed", chore=type(chore).__name__, reason=str(error))
            except Exception as error:  # a mistake in here must not end the service
                log.error("chore_failed", chore=type(chore).__name__, exc_info=error)

    async def _repeat(self) -> None:
        while True:
            await self.once()
            await self._clock.sleep(EVERY_SECONDS)
