"""What time is it, when somebody sets the clock."""

from datetime import timedelta

from plumbline_kit.clock import SteadyClock
from plumbline_kit.testing import FakeClock


def test_a_step_back_does_not_turn_a_steady_clock_back() -> None:
    wall = FakeClock()
    start, steady = wall.now(), SteadyClock(wall)
    wall.advance(60)
    wall.step(-3600)
    wall.advance(10)
    assert steady.now() == start + timedelta(seconds=70)


def test_a_step_forward_is_followed_and_its_correction_too() -> None:
    wall = FakeClock()
    start, steady = wall.now(), SteadyClock(wall)
    wall.step(3600)
    assert steady.now() == start + timedelta(hours=1)
    wall.step(-3600)
    wall.advance(5)
    assert steady.now() == start + timedelta(seconds=5)


async def test_a_steady_clock_sleeps_as_the_one_below_it() -> None:
    wall = FakeClock()
    steady = SteadyClock(wall)
    await steady.sleep(3)
    assert (steady.monotonic(), wall.monotonic()) == (3, 3)
