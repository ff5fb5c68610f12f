"""The indexes of this process: engines inside it on a folder of its own, or a server that many share."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.state import FORMAT, OpenGeneration, StateFolder
from plumbline_retrieval.ports import Index, ServingMark
from plumbline_retrieval.settings import CANDIDATE, IndexSettings, Settings

log = structlog.get_logger()

LOOK_SECONDS: Final = 2.0

_UNFIT: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Recipe:
    """What a generation is built with."""

    settings: IndexSettings
    encoder_id: str
    dimensions: int
    tokens_of: str = ""
    """Whose tokens documents are cut by, where that is not the encoder."""

    def __str__(self) -> str:
        cut = f"passages of {self.settings.passage_tokens} tokens"
        return f"{self.encoder_id}, {cut}{self.tokens_of and f' of {self.tokens_of}'}"

    @property
    def place(self) -> tuple[str, str]:
        """Two of one place are one index."""
        return self.settings.server.url, str(self)


@dataclass(frozen=True)
class Engine:
    """An open index and what to know of it."""

    index: Index
    generation: str
    description: str
    complete: bool
    """Whether it was whole once."""
    is_own: bool
    """Whether no other process has it."""
    completed: Callable[[], Awaitable[None]]
    """Remembers that it is whole."""
    is_complete: Callable[[], Awaitable[bool]] | None = None
    """Asks whether another process has found it whole; None where there is no other."""


@dataclass(frozen=True)
class Engines:
    """Those of all generations, the first first."""

    all: Sequence[Engine]
    mark: ServingMark
    close: Callable[[], Awaitable[None]]


async def open_engines(settings: Settings, recipes: Sequence[Recipe], *, all_named: bool = True) -> Engines:
    """One for each recipe; where the one of the candidate cannot be opened, the first alone.

    Other indexes in the folder are removed if *recipes* are *all_named* in the settings.

    Raises `SettingsError`, and `Unavailable` for a server that does not answer.
    """
    if len({recipe.place for recipe in recipes}) < len(recipes):
        raise SettingsError(f"the index beside the first is built with the same, {recipes[0]}: unset {CANDIDATE}*")
    async with AsyncExitStack() as closing:
        folder = _folder(settings, recipes, closing)
        if folder is not None and all_named:
            folder.keep([str(recipe) for recipe in recipes if not recipe.settings.server.url])
        first, mark = await _open(recipes[0], folder, closing)
        engines = [first]
        for recipe in recipes[1:]:
            try:
                engines.append((await _open(recipe, folder, closing))[0])
            except (Unavailable, SettingsError) as error:
                log.error("candidate_not_opened", recipe=str(recipe), reason=str(error))
        return Engines(engines, mark, closing.pop_all().aclose)


def _folder(settings: Settings, recipes: Sequence[Recipe], closing: AsyncExitStack) -> StateFolder | None:
    """The folder of those that this process holds."""
    if all(recipe.settings.server.url for recipe in recipes):
        return None
    folder = StateFolder.open(settings.state_dir)
    closing.callback(folder.close)
    return folder


async def _open(recipe: Recipe, folder: StateFolder | None, closing: AsyncExitStack) -> tuple[Engine, ServingMark]:
    if recipe.settings.server.url or folder is None:
        return await _on_server(recipe, closing)
    return _embedded(folder.generation(str(recipe), recipe.dimensions)), folder


def _embedded(opened: OpenGeneration) -> Engine:
    async def completed() -> None:
        opened.completed()

    generation = opened.generation
    return Engine(opened.index, generation.id, generation.recipe, generation.complete, True, completed)


async def _on_server(recipe: Recipe, closing: AsyncExitStack) -> tuple[Engine, ServingMark]:
    from plumbline_retrieval.adapters.server import ServerIndex  # its client takes half a second of each start to load

    server = recipe.settings.server
    collection = _UNFIT.sub("-", f"{recipe.encoder_id}-{recipe.settings.passage_tokens}-{recipe.tokens_of}{FORMAT}")
    index = await ServerIndex.open(
        server.url,
        api_key=server.api_key,
        generation=collection,
        dimensions=recipe.dimensions,
        shards=server.shards,
        replicas=server.replicas,
        quantised=server.quantised,
    )
    closing.push_async_callback(index.aclose)
    generation = f"{collection}-{await index.mark()}"
    complete = await index.is_complete()
    engine = Engine(index, generation, str(recipe), complete, False, index.completed, index.is_complete)
    return engine, index


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
