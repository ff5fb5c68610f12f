"""When the index goes on with what it has, when it is built again, and when it refuses to start."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.state import OpenGeneration, StateFolder, open_alone
from plumbline_retrieval.domain.document import DocumentKey
from plumbline_retrieval.domain.head import Head, Live, State

HEAD = Head(DocumentKey("acme", "lamp"), 3, State.LIVE, datetime(2026, 3, 1, tzinfo=UTC), Live(3))
DIMENSIONS = 4


def reopen(folder: Path, recipe: str = "encoder@1") -> tuple[StateFolder, OpenGeneration]:
    return open_alone(folder, recipe, DIMENSIONS)


def rewrite(used: OpenGeneration, **fields: object) -> None:
    path = used.folder / "generation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def folders(used: OpenGeneration) -> list[str]:
    return sorted(path.name for path in used.folder.parent.iterdir() if path.is_dir())


async def knows_the_lamp(opened: OpenGeneration) -> bool:
    return await opened.index.heads([HEAD.key]) == {HEAD.key: HEAD}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "retrieval"


@pytest.fixture
async def used(folder: Path) -> OpenGeneration:
    """The generation in a folder with one head; whole once, closed."""
    state, opened = reopen(folder)
    await opened.index.put_head(HEAD)
    opened.completed()
    state.close()
    return opened


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
async def test_an_index_is_taken_up_again_while_the_machine_runs(
    used: OpenGeneration, folder: Path, closed: bool
) -> None:
    rewrite(used, closed=closed)
    state, opened = reopen(folder)
    assert opened.generation.id == used.generation.id
    assert opened.generation.complete
    assert await knows_the_lamp(opened)
    state.close()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"format": 0}, id="other_format"),
        pytest.param({"closed": False, "boot_id": "an earlier run"}, id="machine_stopped_before_it_was_closed"),
        pytest.param({"id": "moved"}, id="of_another_folder"),
        pytest.param({"unknown": 1}, id="unreadable"),
    ],
)
async def test_otherwise_a_new_generation_starts_empty_under_a_new_name_and_the_old_one_goes(
    used: OpenGeneration, folder: Path, fields: dict[str, object]
) -> None:
    rewrite(used, **fields)
    state, opened = reopen(folder)
    assert opened.generation.id != used.generation.id
    assert not opened.generation.complete
    assert not await knows_the_lamp(opened)
    assert folders(opened) == [opened.generation.id]
    state.close()


def test_a_removed_folder_is_a_new_generation_too(used: OpenGeneration, folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    state, opened = reopen(folder)
    assert opened.generation.id != used.generation.id
    state.close()


async def test_another_recipe_alone_is_refused_in_one_sentence_that_says_what_to_do(
    used: OpenGeneration, folder: Path
) -> None:
    with pytest.raises(SettingsError, match=r"encoder@1.* encoder@2: .*CANDIDATE_.* remove the folder"):
        reopen(folder, "encoder@2")
    state, opened = reopen(folder)
    assert await knows_the_lamp(opened)
    state.close()


def both(folder: Path, *, whole: bool) -> OpenGeneration:
    """The generation beside the first one, once the folder was opened for both."""
    state = StateFolder.open(folder)
    state.keep(["encoder@1", "encoder@2"])
    state.generation("encoder@1", DIMENSIONS)
    second = state.generation("encoder@2", DIMENSIONS)
    if whole:
        second.completed()
    state.close()
    return second


async def test_another_recipe_beside_begins_empty_and_the_first_stays(used: OpenGeneration, folder: Path) -> None:
    second = both(folder, whole=False)
    assert folders(second) == sorted([used.generation.id, second.generation.id])
    state = StateFolder.open(folder)
    state.keep(["encoder@1", "encoder@2"])
    assert await knows_the_lamp(state.generation("encoder@1", DIMENSIONS))
    assert not await knows_the_lamp(state.generation("encoder@2", DIMENSIONS))
    state.close()


async def test_once_whole_it_can_be_the_only_one_and_the_old_one_goes(used: OpenGeneration, folder: Path) -> None:
    second = both(folder, whole=True)
    state, opened = reopen(folder, "encoder@2")
    assert folders(opened) == [opened.generation.id] == [second.generation.id]
    state.close()


async def test_one_that_is_not_whole_does_not_take_the_place_of_one_that_is(used: OpenGeneration, folder: Path) -> None:
    both(folder, whole=False)
    with pytest.raises(SettingsError, match="until it is whole"):
        reopen(folder, "encoder@2")
    state, opened = reopen(folder)
    assert await knows_the_lamp(opened)
    state.close()


async def test_the_one_that_answers_is_not_removed(used: OpenGeneration, folder: Path) -> None:
    second = both(folder, whole=True)
    state = StateFolder.open(folder)
    await state.serve(second.generation.id)
    state.close()
    with pytest.raises(SettingsError, match=r"the index that answers was built by encoder@2.*index back"):
        reopen(folder)
    state, opened = reopen(folder, "encoder@2")
    assert folders(opened) == [second.generation.id]
    state.close()


async def test_a_first_one_that_is_lost_is_built_anew_beside_the_other(used: OpenGeneration, folder: Path) -> None:
    second = both(folder, whole=True)
    rewrite(used, format=0)
    state = StateFolder.open(folder)
    state.keep(["encoder@1", "encoder@2"])
    first = state.generation("encoder@1", DIMENSIONS)
    assert first.generation.id != used.generation.id
    assert state.generation("encoder@2", DIMENSIONS).generation.complete
    assert folders(first) == sorted([first.generation.id, second.generation.id])
    state.close()


async def test_what_a_killed_removal_left_is_no_index(used: OpenGeneration, folder: Path) -> None:
    (used.folder / "generation.json").unlink()
    shutil.rmtree(used.folder / "heads")
    state, opened = reopen(folder)
    assert opened.generation.id != used.generation.id
    assert folders(opened) == [opened.generation.id]
    state.close()


async def test_what_is_no_generation_stays(used: OpenGeneration, folder: Path) -> None:
    (folder / "my-backup").mkdir()
    state, opened = reopen(folder)
    assert folders(opened) == sorted([opened.generation.id, "my-backup"])
    state.close()


async def test_what_was_chosen_to_serve_is_known_after_a_restart(folder: Path) -> None:
    state = StateFolder.open(folder)
    assert await state.serving() == ""
    await state.serve("abc")
    state.close()
    state = StateFolder.open(folder)
    assert await state.serving() == "abc"
    state.close()


async def test_a_second_process_is_refused(used: OpenGeneration, folder: Path) -> None:
    state, _ = reopen(folder)
    with pytest.raises(SettingsError, match="another process"):
        reopen(folder)
    state.close()
    again, _ = reopen(folder)
    again.close()
