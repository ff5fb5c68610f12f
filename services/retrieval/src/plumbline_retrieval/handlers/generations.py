"""Several indexes of one corpus: which of them answers, and how another one comes to."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import NotFound, Unavailable
from plumbline_kit.lifecycle import Runs
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.ports import ServingMark

log = structlog.get_logger()

U = TypeVar("U")

UNKNOWN: Final = -1
WAIT_SECONDS: Final = 10.0
"""For the last submissions to be taken in before a switch."""
LOOK_SECONDS: Final = 0.1
FOLLOW_SECONDS: Final = 1.0
"""How often a process looks whether another one has switched."""


@dataclass(frozen=True)
class Generation(Generic[U]):
    """An index that takes in the whole corpus."""

    id: str
    description: str
    """What it is built with."""
    uses: U
    """What can be done with it."""
    readiness: Readiness
    behind: Callable[[], int]
    """Submissions that it has not taken in, as of the last second; UNKNOWN where another process fills it."""


class Generations(Generic[U]):
    """The generations of this process. A call takes the one that answers once, and ends on it."""

    def __init__(self, kept: Sequence[Generation[U]], mark: ServingMark) -> None:
        """*kept* begins with the one that answers unless *mark* says otherwise; see `follow`."""
        self.kept = tuple(kept)
        self.serving = self.kept[0]
        self._mark = mark
        self._turn = asyncio.Lock()
        """Or what was marked before a switch takes its effect away."""

    def named(self, generation_id: str) -> Generation[U]:
        """The one of this id; an empty one means the one that answers. Raises `NotFound`."""
        if not generation_id:
            return self.serving
        for each in self.kept:
            if each.id == generation_id:
                return each
        raise NotFound(f"there is no generation {generation_id}: there are {', '.join(each.id for each in self.kept)}")

    async def follow(self) -> None:
        """Let answer what is marked; the first, where nothing is or what is not kept any more."""
        async with self._turn:
            marked = await self._mark.serving()
            found = next((each for each in self.kept if each.id == marked), None)
            if marked and found is None and self.serving.id != marked:
                log.warning("serving_generation_not_kept", generation=marked)
            self._serve(found or self.kept[0])

    async def switch(self, generation: Generation[U]) -> Generation[U]:
        """Let *generation* answer from now on, and after a restart too. Returns the one before."""
        async with self._turn:
            before = self.serving
            await self._mark.serve(generation.id)
            self._serve(generation)
            return before

    def _serve(self, generation: Generation[U]) -> None:
        if generation is not self.serving:
            log.info("index_generation_serves", generation=generation.id, before=self.serving.id)
            self.serving = generation


@dataclass(frozen=True)
class SwitchGeneration(Generic[U]):
    """Lets another generation answer."""

    generations: Generations[U]
    clock: Clock

    async def __call__(self, generation_id: str) -> str:
        """The one that answered before. Raises `NotFound`, `Unavailable` while it is not whole or lags behind.

        Each generation but the first tells of changes once it is whole. What it took in before that is told by the
        first alone, which therefore has to have caught up too; going back to the first waits for nobody else.
        """
        wanted = self.generations.named(generation_id)
        if not wanted.readiness.complete:
            raise Unavailable(f"generation {wanted.id} is not whole yet: {wanted.behind()} submissions are left")
        await self._caught_up({each.id: each for each in (wanted, self.generations.kept[0])})
        return (await self.generations.switch(wanted)).id

    async def _caught_up(self, generations: Mapping[str, Generation[U]]) -> None:
        ends = self.clock.monotonic() + WAIT_SECONDS
        waiting = list(generations.values())
        while waiting := [each for each in waiting if each.behind() > 0]:
            if self.clock.monotonic() > ends:
                left = ", ".join(f"{each.id} by {each.behind()}" for each in waiting)
                raise Unavailable(f"behind the corpus: {left}", retry_after=WAIT_SECONDS)
            await self.clock.sleep(LOOK_SECONDS)


class Beside:
    """Runs what fills a generation that does not answer: its failure is not that of the service."""

    def __init__(self, inner: Runs, readiness: Readiness, is_serving: Callable[[], bool]) -> None:
        self._inner = inner
        self._readiness = readiness
        self._is_serving = is_serving
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped. Raises what went wrong if the generation answers by then."""
        try:
            await self._inner.run()
        except Exception:
            if self._is_serving():
                raise
            log.exception("candidate_stopped")
            self._readiness.complete = False  # nobody is to switch to what does not go on
            await self._stopping.wait()

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()
        await self._inner.stop()


class FollowMark(Generic[U]):
    """Runs where another process may switch."""

    def __init__(self, generations: Generations[U], clock: Clock) -> None:
        self._generations = generations
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        while not self._stopping.is_set():
            try:
                await self._generations.follow()
            except Unavailable as error:
                log.warning("serving_generation_not_read", reason=str(error))
            await self._clock.sleep(FOLLOW_SECONDS)

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()
