"""When searches are let in."""

import asyncio
from pathlib import Path

import pytest

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters.rebuild import Rebuild
from plumbline_retrieval.adapters.state import OpenState, open_state
from plumbline_retrieval.handlers.readiness import Readiness


class Consumer:
    """Catches up, or stops, when told."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.stopped = False

    async def caught_up(self) -> None:
        await self.done.wait()
        if self.stopped:
            raise Unavailable("stopped before it had caught up")


@pytest.fixture
def state(tmp_path: Path) -> OpenState:
    return open_state(tmp_path, encoder_id="encoder@1", dimensions=4)


async def ran(rebuild: Rebuild, consumer: Consumer) -> None:
    running = asyncio.create_task(rebuild.run())
    await asyncio.sleep(0)
    consumer.done.set()
    await rebuild.stop()
    await running


async def test_a_new_index_lets_searches_in_once_it_has_caught_up_and_ever_after(state: OpenState) -> None:
    readiness, consumer = Readiness(), Consumer()
    await ran(Rebuild(consumer, state, readiness), consumer)
    assert readiness.complete
    state.close()
    again = open_state(state.folder, encoder_id="encoder@1", dimensions=4)
    assert again.generation.complete
    again.close()


async def test_a_rebuild_that_was_stopped_is_not_complete(state: OpenState) -> None:
    readiness, consumer = Readiness(), Consumer()
    consumer.stopped = True
    await ran(Rebuild(consumer, state, readiness), consumer)
    assert not readiness.complete
    state.close()
    again = open_state(state.folder, encoder_id="encoder@1", dimensions=4)
    assert not again.generation.complete
    again.close()


async def test_an_index_that_was_whole_before_waits_for_nothing(state: OpenState) -> None:
    rebuild = Rebuild(Consumer(), state, Readiness(complete=True))
    await rebuild.stop()
    await rebuild.run()
    state.close()
