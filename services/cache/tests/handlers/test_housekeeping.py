"""Chores beside all requests."""

import asyncio

from plumbline_cache.handlers.housekeeping import Housekeeping
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock, eventually


class Chore:
    """Counts its turns, and fails at first."""

    def __init__(self, *failures: Exception) -> None:
        self.turns = 0
        self._failures = list(failures)

    async def __call__(self) -> None:
        self.turns += 1
        if self._failures:
            raise self._failures.pop()


async def test_chores_come_again_whatever_goes_wrong_and_once_more_at_the_end() -> None:
    failing, other = Chore(Unavailable("away"), ValueError("a mistake")), Chore()
    clock = FakeClock()
    housekeeping = Housekeeping([failing, other], clock)
    running = asyncio.create_task(housekeeping.run())
    await eventually(lambda: failing.turns >= 3 and other.turns >= 3)
    await housekeeping.stop()
    await running
    assert failing.turns == other.turns
    assert clock.monotonic() >= 120


async def test_what_is_stopped_at_once_still_does_its_last_turn() -> None:
    chore = Chore()
    housekeeping = Housekeeping([chore], FakeClock())
    await housekeeping.stop()
    await housekeeping.run()
    assert chore.turns >= 1
