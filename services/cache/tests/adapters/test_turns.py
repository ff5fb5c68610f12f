"""Who waits for a worker gets it in order, and who must be first before all others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from plumbline_cache.adapters.turns import ThreadTurns


class Busy:
    """A writer whose one worker is held up, and what was done since."""

    def __init__(self) -> None:
        self.turns = ThreadTurns("test-writer", 1)
        self.done: list[str] = []
        self._go = threading.Event()
        self._holds_up = asyncio.ensure_future(self.turns.run(self._go.wait))

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    async def let_go(self) -> None:
        self._go.set()
        await self._holds_up


@pytest.fixture
async def busy() -> AsyncIterator[Busy]:
    busy = Busy()
    await asyncio.sleep(0)
    yield busy
    await busy.let_go()
    busy.turns.close()


async def _waiting(busy: Busy, *names: str) -> list[asyncio.Task[None]]:
    """One after the other wait for their turn; names in capitals want to be first."""
    runs = [(busy.turns.run_first if name.isupper() else busy.turns.run)(busy.note(name)) for name in names]
    tasks = [asyncio.ensure_future(run) for run in runs]
    await asyncio.sleep(0)
    return tasks


async def test_what_must_be_first_goes_before_all_that_waits(busy: Busy) -> None:
    tasks = await _waiting(busy, "a", "b", "C", "d", "E")
    await busy.let_go()
    await asyncio.gather(*tasks)
    assert busy.done == ["C", "E", "a", "b", "d"]


async def test_who_leaves_the_queue_holds_up_nobody(busy: Busy) -> None:
    tasks = await _waiting(busy, "a", "b", "C", "d")
    tasks[0].cancel()
    tasks[2].cancel()
    await busy.let_go()
    await asyncio.gather(tasks[1], tasks[3])
    assert busy.done == ["b", "d"]


async def test_a_worker_that_comes_to_somebody_who_leaves_in_that_moment_goes_to_the_next(busy: Busy) -> None:
    first, second = await _waiting(busy, "a", "b")
    await busy.let_go()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    await second
    await busy.turns.run(busy.note("c"))
    assert busy.done[-2:] == ["b", "c"]
