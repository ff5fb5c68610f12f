"""The index of this process: the engine inside it on a folder of its own, or a server that many share."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters.state import FORMAT, open_state
from plumbline_retrieval.ports import Index
from plumbline_retrieval.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS: Final = 2.0

_UNFIT: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Engine:
    """An open index and what to know of it."""

    index: Index
    generation: str
    complete: bool
    """Whether it was whole once."""
    is_own: bool
    """Whether no other process has it."""
    completed: Callable[[], Awaitable[None]]
    """Remembers that it is whole."""
    close: Callable[[], Awaitable[None]]
    is_complete: Callable[[], Awaitable[bool]] | None = None
    """Asks whether another process has found it whole; None where there is no other."""


async def open_engine(settings: Settings, *, encoder_id: str, dimensions: int) -> Engine:
    """What *settings* name. Raises `SettingsError`, and `Unavailable` for a server that does not answer."""
    if settings.server.url:
        return await _on_server(settings, encoder_id, dimensions)
    state = open_state(settings.state_dir, encoder_id=encoder_id, dimensions=dimensions)

    async def completed() -> None:
        state.completed()

    async def close() -> None:
        state.close()

    return Engine(state.index, state.generation.id, state.generation.complete, True, completed, close)


async def _on_server(settings: Settings, encoder_id: str, dimensions: int) -> Engine:
    from plumbline_retrieval.adapters.server import ServerIndex  # its client takes half a second of each start to load

    server = settings.server
    generation = f"{_UNFIT.sub('-', encoder_id)}-{FORMAT}"  # another encoder or format is another collection
    index = await ServerIndex.open(
        server.url,
        api_key=server.api_key,
        generation=generation,
        dimensions=dimensions,
        shards=server.shards,
        replicas=server.replicas,
        quantised=server.quantised,
    )
    generation = f"{generation}-{await index.mark()}"
    return Engine(index, generation, await index.is_complete(), False, index.completed, index.aclose, index.is_complete)


class WaitForOthers:
    """Runs where another process fills the index: asks until it is whole."""

    def __init__(
        self, is_complete: Callable[[], Awaitable[bool]], clock: Clock, when_whole: Callable[[], Awaitable[None]]
    ) -> None:
        self._ask = is_complete
        self._clock = clock
        self._when_whole = when_whole
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        while not self._stopping.is_set():
            if await self._is_complete():
                await self._when_whole()
                break
            await self._clock.sleep(LOOK_SECONDS)
        await self._stopping.wait()

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    async def _is_complete(self) -> bool:
        try:
            return await self._ask()
        except Unavailable as error:
            log.warning("index_cannot_be_asked", reason=str(error))
            return False
