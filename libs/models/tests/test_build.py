"""The encoder's folder: whole, repeatable, and never somebody else's."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline_models.build import build_encoder
from plumbline_models.encoder import Encoder


def content(directory: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in directory.iterdir()}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    build_encoder(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_two_builds_are_the_same_to_the_byte(built: Path, tmp_path: Path) -> None:
    build_encoder(tmp_path / "again")
    assert content(tmp_path / "again") == content(built)


def test_the_id_is_the_name_and_the_hash_of_the_model_file(built: Path) -> None:
    digest = content(built)["model.int8.onnx"]
    assert Encoder.load(built).id == f"all-MiniLM-L6-v2-int8@{digest[:8]}"


def test_a_second_build_touches_nothing(built: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in built.iterdir()}
    build_encoder(built)
    assert {file: file.stat().st_mtime_ns for file in built.iterdir()} == before


def test_a_damaged_folder_is_refused_and_built_again(built: Path) -> None:
    good = content(built)
    (built / "model.int8.onnx").write_bytes(b"half a model")
    with pytest.raises(ValueError, match="not the one"):
        Encoder.load(built)
    build_encoder(built)
    assert content(built) == good
    assert [entry.name for entry in built.parent.iterdir()] == ["encoder"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        build_encoder(tmp_path / "encoder")
    assert [entry.name for entry in (tmp_path / "encoder").iterdir()] == ["thesis.txt"]


def test_a_missing_folder_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"python -m plumbline_models\.build"):
        Encoder.load(tmp_path / "nowhere")


def test_the_command_builds_and_names_what_it_built(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "plumbline_models.build", str(tmp_path / "encoder")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    identity = json.loads((tmp_path / "encoder" / "encoder.json").read_text())["id"]
    assert (result.stdout, result.stderr) == (f"{identity} in {tmp_path / 'encoder'}\n", "")
