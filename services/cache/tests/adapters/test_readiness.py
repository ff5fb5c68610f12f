"""When lookups may be answered."""

import asyncio

import pytest

from plumbline_cache.adapters.readiness import CatchingUp
from plumbline_kit.testing import eventually


class Consumer:
    """Has caught up once told so."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def caught_up(self) -> None:
        await self.done


async def test_the_cache_is_ready_once_the_consumer_has_caught_up() -> None:
    consumer = Consumer()
    readiness = CatchingUp(consumer)
    running = asyncio.create_task(readiness.run())
    assert not readiness.caught_up
    consumer.done.set_result(None)
    await eventually(lambda: readiness.caught_up)
    await readiness.stop()
    await running


async def test_the_cache_is_not_ready_while_one_of_several_is_behind() -> None:
    first, second = Consumer(), Consumer()
    readiness = CatchingUp(first, second)
    running = asyncio.create_task(readiness.run())
    first.done.set_result(None)
    await asyncio.sleep(0)
    assert not readiness.caught_up
    second.done.set_result(None)
    await eventually(lambda: readiness.caught_up)
    await readiness.stop()
    await running


async def test_stopping_does_not_wait_for_it() -> None:
    readiness = CatchingUp(Consumer())
    running = asyncio.create_task(readiness.run())
    await readiness.stop()
    await running
    assert not readiness.caught_up


async def test_a_consumer_that_fails_is_heard_of() -> None:
    consumer = Consumer()
    running = asyncio.create_task(CatchingUp(consumer).run())
    consumer.done.set_exception(RuntimeError("no broker"))
    with pytest.raises(RuntimeError, match="no broker"):
        await running
