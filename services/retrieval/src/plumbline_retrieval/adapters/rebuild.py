"""Watches a new index fill from the corpus, and says when it is whole."""

import asyncio
from typing import Protocol

import structlog

from plumbline_retrieval.adapters.state import OpenState
from plumbline_retrieval.handlers.search import Readiness

log = structlog.get_logger()


class Consumer(Protocol):
    """Knows when it has handled all that was there when it joined."""

    async def caught_up(self) -> None:
        """Return then."""
        ...


class Rebuild:
    """Runs beside the consumer. Searches are refused until the index has been whole once."""

    def __init__(self, consumer: Consumer, state: OpenState, readiness: Readiness) -> None:
        self._consumer = consumer
        self._state = state
        self._readiness = readiness
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        watching = asyncio.create_task(self._watch())
        await self._stopping.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    async def _watch(self) -> None:
        await self._consumer.caught_up()
        if not self._readiness.complete:
            self._state.completed()
            self._readiness.complete = True
            log.info("index_complete", generation=self._state.generation.id)
