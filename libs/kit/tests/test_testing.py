"""The test tools themselves."""

import asyncio

import pytest

from plumbline_kit.testing import FakeClock, eventually, test_settings


async def test_a_fake_clock_passes_time_at_once_and_lets_others_run() -> None:
    clock, ran = FakeClock(), asyncio.Event()
    other = asyncio.create_task(asyncio.sleep(0, ran.set()))
    before = clock.now()
    await clock.sleep(90)
    await other
    assert (clock.monotonic(), (clock.now() - before).total_seconds()) == (90, 90)


async def test_eventually_returns_what_became_true() -> None:
    left = [0, None, "found"]
    assert await eventually(lambda: left.pop(0)) == "found"


async def test_eventually_waits_for_an_awaitable() -> None:
    assert await eventually(lambda: asyncio.sleep(0, "found")) == "found"


async def test_eventually_gives_up_and_says_on_what() -> None:
    def never() -> bool:
        return False

    with pytest.raises(AssertionError, match="never"):
        await eventually(never, seconds=0.05)


def test_a_mistaken_setting_fails_at_once() -> None:
    with pytest.raises(TypeError):
        test_settings("cache", prot=1)
