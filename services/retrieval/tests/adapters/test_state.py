"""When the index goes on with what it has, when it is built again, and when it refuses to start."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.state import OpenState, open_state
from plumbline_retrieval.domain.document import DocumentKey
from plumbline_retrieval.domain.head import Head, Live, State

Make = Callable[..., Any]

HEAD = Head(DocumentKey("acme", "lamp"), 3, State.LIVE, datetime(2026, 3, 1, tzinfo=UTC), Live(3))


def reopen(folder: Path, encoder_id: str = "encoder@1") -> OpenState:
    return open_state(folder, encoder_id=encoder_id, dimensions=4)


def rewrite(folder: Path, **fields: object) -> None:
    path = folder / "generation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


async def knows_the_lamp(state: OpenState) -> bool:
    return await state.index.heads([HEAD.key]) == {HEAD.key: HEAD}


@pytest.fixture
async def used(tmp_path: Path) -> OpenState:
    """A folder with one head; whole once, closed."""
    state = reopen(tmp_path / "retrieval")
    await state.index.put_head(HEAD)
    state.completed()
    state.close()
    return state


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
async def test_an_index_is_taken_up_again_while_the_machine_runs(used: OpenState, closed: bool) -> None:
    rewrite(used.folder, closed=closed)
    state = reopen(used.folder)
    assert state.generation.id == used.generation.id
    assert state.generation.complete
    assert await knows_the_lamp(state)
    state.close()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"format": 0}, id="other_format"),
        pytest.param({"closed": False, "boot_id": "an earlier run"}, id="machine_stopped_before_it_was_closed"),
        pytest.param({"id": "gone"}, id="shard_gone"),
        pytest.param({"unknown": 1}, id="unreadable"),
    ],
)
async def test_otherwise_a_new_generation_starts_empty_under_a_new_name_and_the_old_one_goes(
    used: OpenState, fields: dict[str, object]
) -> None:
    rewrite(used.folder, **fields)
    state = reopen(used.folder)
    assert state.generation.id != used.generation.id
    assert not state.generation.complete
    assert not await knows_the_lamp(state)
    assert [path.name for path in used.folder.iterdir() if path.is_dir()] == [state.generation.id]
    state.close()


async def test_a_removed_folder_is_a_new_generation_too(used: OpenState, tmp_path: Path) -> None:
    used.folder.rename(tmp_path / "elsewhere")
    state = reopen(used.folder)
    assert state.generation.id != used.generation.id
    state.close()


async def test_another_encoder_is_refused_in_one_sentence_that_says_what_to_do(used: OpenState) -> None:
    with pytest.raises(SettingsError, match=r"encoder@1 .* encoder@2: .* remove the folder"):
        reopen(used.folder, "encoder@2")
    state = reopen(used.folder)
    assert await knows_the_lamp(state)
    state.close()


async def test_a_second_process_is_refused(used: OpenState) -> None:
    state = reopen(used.folder)
    with pytest.raises(SettingsError, match="another process"):
        reopen(used.folder)
    state.close()
    reopen(used.folder).close()
