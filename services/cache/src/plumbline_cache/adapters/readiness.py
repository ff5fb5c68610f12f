"""`Readiness` from the consumer."""

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger()


class Consumer(Protocol):
    """Knows when it has handled all that was there when it joined."""

    async def caught_up(self) -> None:
        """Return then."""
        ...


class CatchingUp:
    """Runs beside the consumers. False until every event of the time before the start was handled."""

    def __init__(self, *consumers: Consumer) -> None:
        self._consumers = consumers
        self._caught_up = False
        self._stopping = asyncio.Event()

    @property
    def caught_up(self) -> bool:
        """See `Readiness`."""
        return self._caught_up

    async def run(self) -> None:
        """Return once stopped. Raises what the consumer raises: a cache that never catches up is no cache."""
        stopped = asyncio.create_task(self._stopping.wait())
        caught_up = asyncio.create_task(self._all_caught_up())
        await asyncio.wait({stopped, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        if caught_up.done():
            caught_up.result()
            self._caught_up = True
            log.info("cache_caught_up")
        else:
            caught_up.cancel()
        await stopped

    async def _all_caught_up(self) -> None:
        await asyncio.gather(*(consumer.caught_up() for consumer in self._consumers))

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()
