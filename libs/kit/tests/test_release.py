"""What a release file may say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_kit.release import Release, Unchecked, Unsupported, load_release

LOCAL = Path(__file__).resolve().parents[3] / "deploy" / "local" / "release.toml"
Load = Callable[[str], Release]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The local release, with this at the end of its guard settings."""

    def read(more: str) -> Release:
        lines = [line for line in LOCAL.read_text(encoding="utf-8").splitlines() if not line.startswith("un")]
        at = lines.index("[guard]") + 1
        file = tmp_path / "release.toml"
        file.write_text("\n".join([*lines[:at], *more.splitlines(), *lines[at:]]), encoding="utf-8")
        return load_release(file)

    return read


def test_a_release_that_says_nothing_marks_what_is_unsupported(load: Load) -> None:
    guard = load("").guard
    assert (guard.unsupported, guard.unchecked) == (Unsupported.MARK, Unchecked.SHOW)


def test_what_becomes_of_unsupported_sentences_belongs_to_the_release(load: Load) -> None:
    release = load('unsupported = "withhold"\nunchecked = "withhold"')
    assert (release.guard.unsupported, release.guard.unchecked) == (Unsupported.WITHHOLD, Unchecked.WITHHOLD)
    assert release.id != load("").id


@pytest.mark.parametrize("more", ['unsupported = "hide"', "unchecked = 1", 'other = "mark"'])
def test_a_wrong_setting_names_the_file_and_itself(load: Load, more: str) -> None:
    with pytest.raises(ValueError, match=r"release\.toml.*(hide|1|other)"):
        load(more)
