"""Which of several indexes answers, and what has to be true before another one does."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from plumbline_kit.errors import NotFound, Unavailable
from plumbline_kit.testing import FakeClock, eventually
from plumbline_retrieval.adapters.memory import MemoryMark
from plumbline_retrieval.handlers.generations import WAIT_SECONDS, Beside, Generation, Generations, SwitchGeneration
from plumbline_retrieval.handlers.readiness import Readiness


class Lag:
    """Submissions that are left: fewer each time one asks."""

    def __init__(self, left: int, *, shrinks: bool = True) -> None:
        self.left, self.shrinks = left, shrinks

    def __call__(self) -> int:
        before = self.left
        if self.shrinks:
            self.left = max(0, self.left - 1)
        return before


def generation(name: str, *, complete: bool = True, behind: Callable[[], int] = lambda: 0) -> Generation[str]:
    return Generation(name, f"built with {name}", f"uses of {name}", Readiness(complete=complete), behind)


def switching(*kept: Generation[str], mark: MemoryMark | None = None) -> SwitchGeneration[str]:
    return SwitchGeneration(Generations(kept, mark or MemoryMark()), FakeClock())


async def test_the_first_serves_until_another_is_chosen_and_can_be_chosen_back() -> None:
    switch = switching(generation("old"), generation("new"))
    generations = switch.generations
    assert generations.serving.uses == "uses of old"
    assert await switch("new") == "old"
    assert generations.serving.uses == "uses of new"
    assert await switch("old") == "new"
    assert generations.serving.id == "old"


async def test_the_choice_outlives_the_process_and_reaches_others() -> None:
    mark = MemoryMark()
    other = Generations([generation("old"), generation("new")], mark)
    await switching(generation("old"), generation("new"), mark=mark)("new")
    assert other.serving.id == "old"
    await other.follow()
    assert other.serving.id == "new"


async def test_a_choice_of_what_is_not_kept_any_more_is_no_choice() -> None:
    generations = Generations([generation("old"), generation("new")], MemoryMark("gone"))
    await generations.follow()
    assert generations.serving.id == "old"


async def test_a_generation_that_is_not_whole_does_not_serve() -> None:
    switch = switching(generation("old"), generation("new", complete=False, behind=Lag(12, shrinks=False)))
    with pytest.raises(Unavailable, match="new is not whole yet: 12 submissions are left"):
        await switch("new")
    assert switch.generations.serving.id == "old"


@pytest.mark.parametrize("late", ["old", "new"])
async def test_a_switch_waits_for_both_to_take_in_what_is_left(late: str) -> None:
    lag = Lag(5)
    kept = [generation(name, behind=lag if name == late else lambda: 0) for name in ("old", "new")]
    assert await switching(*kept)("new") == "old"
    assert lag.left == 0


async def test_a_switch_gives_up_on_one_that_stays_behind_and_says_how_far_it_is() -> None:
    switch = switching(generation("old", behind=Lag(3, shrinks=False)), generation("new"))
    started = switch.clock.monotonic()
    with pytest.raises(Unavailable, match="old by 3"):
        await switch("new")
    assert switch.clock.monotonic() - started >= WAIT_SECONDS
    assert switch.generations.serving.id == "old"


async def test_the_way_back_does_not_wait_for_what_it_leaves() -> None:
    switch = switching(generation("old"), generation("new", behind=Lag(3, shrinks=False)), mark=MemoryMark("new"))
    await switch.generations.follow()
    assert await switch("old") == "new"


@dataclass
class Consumer:
    """Fails once it is told to."""

    failing: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False

    async def run(self) -> None:
        await self.failing.wait()
        raise RuntimeError("the encoder broke")

    async def stop(self) -> None:
        self.stopped = True


async def test_a_candidate_that_fails_stops_alone_and_is_not_switched_to() -> None:
    consumer, readiness = Consumer(), Readiness(complete=True)
    beside = Beside(consumer, readiness, lambda: False)
    running = asyncio.create_task(beside.run())
    consumer.failing.set()
    await eventually(lambda: not readiness.complete)
    assert not running.done()
    await beside.stop()
    await running
    assert consumer.stopped


async def test_one_that_answers_fails_the_service() -> None:
    consumer = Consumer()
    consumer.failing.set()
    with pytest.raises(RuntimeError, match="the encoder broke"):
        await Beside(consumer, Readiness(complete=True), lambda: True).run()


async def test_an_unknown_one_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(NotFound, match="no generation next: there are old, new"):
        await switching(generation("old"), generation("new"))("next")
