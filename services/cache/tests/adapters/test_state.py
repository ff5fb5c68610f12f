"""When the cache goes on with what it has, and when it starts empty."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.state import OpenState, open_state
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
VECTOR = np.array([1, 0, 0, 0], dtype=np.float32)


def reopen(folder: Path, encoder_id: str = "encoder@1") -> OpenState:
    return open_state(folder, encoder_id=encoder_id, dimensions=4)


def rewrite(folder: Path, **fields: object) -> None:
    path = folder / "generation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def used(tmp_path: Path, entry: Make) -> OpenState:
    """A folder with one entry; closed."""
    state = reopen(tmp_path / "cache")
    state.store.put(entry("Why?", ("prices", 1, "h1")), VECTOR)
    state.close()
    return state


def test_a_closed_state_is_taken_up_again(used: OpenState) -> None:
    state = reopen(used.folder)
    assert state.generation.id == used.generation.id
    assert state.store.count("acme") == 1
    state.close()


def test_a_state_that_was_not_closed_is_taken_up_while_the_machine_runs(used: OpenState) -> None:
    rewrite(used.folder, closed=False)
    state = reopen(used.folder)
    assert state.store.count("acme") == 1
    state.close()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"encoder_id": "encoder@0"}, id="other_encoder"),
        pytest.param({"format": 0}, id="other_format"),
        pytest.param({"closed": False, "boot_id": "an earlier run"}, id="machine_stopped_before_it_was_closed"),
        pytest.param({"id": "gone"}, id="shard_gone"),
        pytest.param({"unknown": 1}, id="unreadable"),
    ],
)
def test_otherwise_a_new_generation_starts_empty_and_the_old_one_goes(
    used: OpenState, fields: dict[str, object]
) -> None:
    rewrite(used.folder, **fields)
    state = reopen(used.folder)
    assert state.generation.id != used.generation.id
    assert state.store.count("acme") == 0
    assert {path.name for path in used.folder.iterdir()} == {"generation.json", "lock", state.generation.id}
    state.close()


def test_a_shard_that_cannot_be_read_is_dropped(used: OpenState) -> None:
    for path in (used.folder / used.generation.id).rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    state = reopen(used.folder)
    assert state.store.count("acme") == 0
    state.close()


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    state = reopen(tmp_path / "cache")
    with pytest.raises(Unavailable, match="another process"):
        reopen(tmp_path / "cache")
    state.close()
    reopen(tmp_path / "cache").close()


def test_two_replicas_have_generations_of_their_own(tmp_path: Path) -> None:
    one, other = reopen(tmp_path / "one"), reopen(tmp_path / "other")
    assert one.generation.id != other.generation.id
    one.close()
    other.close()
