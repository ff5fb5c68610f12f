"""Which index a process opens, and how one that only serves learns that it is whole."""

import asyncio
from pathlib import Path

import pytest

from plumbline_kit.errors import Unavailable
from plumbline_kit.settings import SettingsError
from plumbline_kit.testing import FakeClock, eventually
from plumbline_retrieval.adapters.engine import LOOK_SECONDS, Recipe, WaitForOthers, open_engines
from plumbline_retrieval.settings import Settings


def recipe(settings: Settings, encoder_id: str = "encoder@1") -> Recipe:
    return Recipe(settings.index, encoder_id, 4)


async def test_without_a_server_the_index_is_this_process_own_and_remembers_that_it_was_whole(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path)})
    engines = await open_engines(settings, [recipe(settings)])
    [first] = engines.all
    assert (first.is_own, first.complete, first.is_complete) == (True, False, None)
    assert first.description == "encoder@1, passages of 220 tokens"
    await first.completed()
    await engines.close()
    engines = await open_engines(settings, [recipe(settings)])
    [again] = engines.all
    assert (again.generation, again.complete) == (first.generation, True)
    await engines.close()


async def test_two_recipes_are_two_indexes_and_a_mark_that_outlives_the_process(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path)})
    recipes = [recipe(settings), recipe(settings, "encoder@2")]
    engines = await open_engines(settings, recipes)
    first, second = engines.all
    assert first.generation != second.generation
    assert await engines.mark.serving() == ""
    await engines.mark.serve(second.generation)
    await engines.close()
    engines = await open_engines(settings, recipes)
    assert await engines.mark.serving() == second.generation == engines.all[1].generation
    await engines.close()


async def test_two_that_are_built_with_the_same_are_refused(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path), "CANDIDATE_ENCODER_DIR": "/the/same/elsewhere"})
    with pytest.raises(SettingsError, match=r"built with the same, encoder@1.*CANDIDATE_"):
        await open_engines(settings, [Recipe(index, "encoder@1", 4) for index in settings.indexes])


async def test_a_candidate_whose_server_is_away_leaves_the_first_alone(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path), "CANDIDATE_QDRANT_URL": "http://127.0.0.1:9"})
    engines = await open_engines(settings, [Recipe(index, "encoder@1", 4) for index in settings.indexes])
    assert [engine.is_own for engine in engines.all] == [True]
    await engines.close()


async def test_a_folder_that_cannot_be_opened_is_let_go(tmp_path: Path) -> None:
    settings = Settings.from_env({"STATE_DIR": str(tmp_path)})
    engines = await open_engines(settings, [recipe(settings)])
    await engines.all[0].completed()
    await engines.close()
    with pytest.raises(SettingsError, match="CANDIDATE_"):
        await open_engines(settings, [recipe(settings, "encoder@2")])
    await (await open_engines(settings, [recipe(settings)])).close()


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
