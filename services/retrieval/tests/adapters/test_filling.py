"""When what a consumer fills is relied on."""

import asyncio

import pytest

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters.filling import Filling


class Consumer:
    """Catches up, or stops, when told."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.stopped = False

    async def caught_up(self) -> None:
        await self.done.wait()
        if self.stopped:
            raise Unavailable("stopped before it had caught up")


@pytest.mark.parametrize(("stopped", "whole"), [(False, ["whole"]), (True, [])])
async def test_it_is_whole_once_the_consumer_has_caught_up_and_not_if_that_stopped(
    stopped: bool, whole: list[str]
) -> None:
    consumer, told = Consumer(), list[str]()

    async def tell() -> None:
        told.append("whole")

    filling = Filling(consumer, tell)
    running = asyncio.create_task(filling.run())
    await asyncio.sleep(0)
    assert told == []
    consumer.stopped = stopped
    consumer.done.set()
    await filling.stop()
    await running
    assert told == whole
