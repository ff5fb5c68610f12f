"""Watches a new index fill from the corpus, and says when it is whole."""

import asyncio
from typing import Protocol

import structlog

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters.state import OpenState
from plumbline_retrieval.handlers.readiness import Readiness

log = structlog.get_logger()


class Consumer(Protocol):
    """Knows when it has handled all that was there when it joined."""

    async def caught_up(self) -> None:
        """Return then. Raises `Unavailable` when it stopped before."""
        ...


class Rebuild:
    """Runs beside the consumer. An index that was never whole is not searched; one that was, stays open to all."""

    def __init__(self, consumer: Consumer, state: OpenState, readiness: Readiness) -> None:
        self._consumer = consumer
        self._state = state
        self._readiness = readiness
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        if not self._readiness.complete:
            await self._watch()
        await self._stopping.wait()

    async def stop(self) -> None:
        """Make `run` return. The consumer has to be stopped before."""
        self._stopping.set()

    async def _watch(self) -> None:
        try:
            await self._consumer.caught_up()
        except Unavailable:  # the service ends: the next start goes on where the consumer was
            return
        self._state.completed()
        self._readiness.complete = True
        log.info("index_complete", generation=self._state.generation.id)
