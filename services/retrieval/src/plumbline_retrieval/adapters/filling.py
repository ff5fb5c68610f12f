"""Watches what a consumer fills, and says when it is whole."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from plumbline_kit.errors import Unavailable


class Consumer(Protocol):
    """Knows when it has handled all that was there when it joined."""

    async def caught_up(self) -> None:
        """Return then. Raises `Unavailable` when it stopped before."""
        ...


class Filling:
    """Runs beside the consumer. What was never whole is not relied on; what was once, stays open to all."""

    def __init__(self, consumer: Consumer, when_whole: Callable[[], Awaitable[None]]) -> None:
        self._consumer = consumer
        self._when_whole = when_whole
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        try:
            await self._consumer.caught_up()
        except Unavailable:  # the service ends: the next start goes on where the consumer was
            pass
        else:
            await self._when_whole()
        await self._stopping.wait()

    async def stop(self) -> None:
        """Make `run` return. The consumer has to be stopped before."""
        self._stopping.set()
