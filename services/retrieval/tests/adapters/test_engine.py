"""Which index a process opens, and how one that only serves learns that it is whole."""

import asyncio
from pathlib import Path

from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock, eventually
from plumbline_retrieval.adapters.engine import LOOK_SECONDS, WaitForOthers, open_engine
from plumbline_retrieval.settings import Settings


async def test_without_a_server_the_index_is_this_process_own_and_remembers_that_it_was_whole(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path)})
    first = await open_engine(settings, encoder_id="encoder@1", dimensions=4)
    assert (first.is_own, first.complete, first.is_complete) == (True, False, None)
    await first.completed()
    await first.close()
    again = await open_engine(settings, encoder_id="encoder@1", dimensions=4)
    assert (again.generation, again.complete) == (first.generation, True)
    await again.close()


async def test_a_process_that_only_serves_waits_until_others_have_filled_the_index() -> None:
    answers: list[bool | Exception] = [False, Unavailable("the index cannot be used"), True]
    asked, told, clock = 0, list[str](), FakeClock()

    async def is_complete() -> bool:
        nonlocal asked
        answer = answers[asked]
        asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def tell() -> None:
        told.append("whole")

    waiting = WaitForOthers(is_complete, clock, tell)
    running = asyncio.create_task(waiting.run())
    await eventually(lambda: told == ["whole"])
    assert (asked, clock.monotonic()) == (3, 2 * LOOK_SECONDS)
    await waiting.stop()
    await running
