"""What a release file may say, and that a release is named by its content."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_kit.errors import NotFound
from plumbline_kit.release import GuardSettings, Release, Unchecked, Unsupported, load_release
from plumbline_kit.settings import SettingsError

LOCAL = Path(__file__).parents[3] / "deploy/local/release.toml"
PROMPT = """
description = "anything"
system = "Answer for {{ firm }}."
template = "{{ question }}"
variables.firm = { default = "Brindlewick", description = "whose documents" }
variables.most = { type = "number", default = 3 }
variables.brief = { type = "flag", default = true }

[[examples]]
name = "one"
"""
INLINE = 'system = "Answer."\ntemplate = "{{ question }}"'

Load = Callable[..., Release]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A release with this [prompt] beside this file."""
    (tmp_path / "prompts").mkdir()

    def write(prompt: str, file: str = PROMPT, name: str = "answer.toml") -> Release:
        (tmp_path / "prompts" / name).write_text(file, encoding="utf-8")
        before, _, rest = LOCAL.read_text(encoding="utf-8").partition("[prompt]")
        release = tmp_path / "release.toml"
        release.write_text(f"{before}[prompt]\n{prompt}\n\n[model]{rest.partition('[model]')[2]}", encoding="utf-8")
        return load_release(release)

    return write


def test_a_prompt_may_stand_in_the_release_or_in_a_file_beside_it(load: Load) -> None:
    assert load(INLINE).prompt.system == "Answer."
    named = load('file = "prompts/answer.toml"').prompt
    assert (named.system, named.template, named.file) == ("Answer for {{ firm }}.", "{{ question }}", "answer.toml")


def test_the_same_content_has_the_same_id_in_a_file_or_in_the_release(load: Load) -> None:
    inline, named = load(INLINE), load('file = "prompts/answer.toml"', INLINE)
    assert (inline.id, inline.prompt_version) == (named.id, named.prompt_version)


def test_what_decides_no_answer_changes_no_id(load: Load) -> None:
    release = load('file = "prompts/answer.toml"')
    renamed = load('file = "prompts/b.toml"', PROMPT.replace("anything", "else"), "b.toml")
    assert (release.id, release.prompt_version) == (renamed.id, renamed.prompt_version)


@pytest.mark.parametrize(
    ("old", "new"), [("for", "to"), ("question }}", "question }}?"), ("default = 3", "default = 4")]
)
def test_content_that_decides_an_answer_changes_the_ids(load: Load, old: str, new: str) -> None:
    release = load('file = "prompts/answer.toml"')
    changed = load('file = "prompts/answer.toml"', PROMPT.replace(old, new))
    assert release.id != changed.id
    assert release.prompt_version != changed.prompt_version


def test_a_release_sets_the_variables_of_its_prompt(load: Load) -> None:
    prompt = load('file = "prompts/answer.toml"\nvariables = { firm = "Tidewater" }').prompt
    assert prompt.variables == {"firm": "Tidewater", "most": 3, "brief": True}


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ('file = "prompts/none.toml"', "none.toml"),
        ('file = "prompts/answer.toml"\nsystem = "Answer."', "so system must stand there"),
        ('file = "prompts/answer.toml"\nvariables = { town = "Turin" }', "it has no variable town"),
        ('file = "prompts/answer.toml"\nvariables = { most = true }', "most is True, not a number"),
        ('file = "prompts/answer.toml"\nvariables = { brief = 1 }', "brief is 1, not a flag"),
        ('system = "Answer."', "template"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused_with_its_reason(load: Load, prompt: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load(prompt)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('default = "Brindlewick", ', "", "firm has neither a value nor a default"),
        ('"number"', '"colour"', "variables.most must be a table whose type is text"),
        ("system", "sytem", "system must be a text"),
        ("variables.most = {", "variables.most = 3 #", "variables.most must be a table"),
        ("default = true", "default =", "answer.toml"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(load: Load, old: str, new: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load('file = "prompts/answer.toml"', PROMPT.replace(old, new))


def test_a_release_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no release file .*none\.toml: RELEASE_FILE names one"):
        load_release(tmp_path / "none.toml")


@pytest.fixture
def guarded(tmp_path: Path) -> Load:
    """The local release, with this at the end of its guard settings."""
    shutil.copytree(LOCAL.parent / "prompts", tmp_path / "prompts")

    def read(more: str) -> Release:
        lines = [line for line in LOCAL.read_text(encoding="utf-8").splitlines() if not line.startswith("un")]
        at = lines.index("[guard]") + 1
        file = tmp_path / "release.toml"
        file.write_text("\n".join([*lines[:at], *more.splitlines(), *lines[at:]]), encoding="utf-8")
        return load_release(file)

    return read


def test_a_release_that_says_nothing_marks_what_is_unsupported(guarded: Load) -> None:
    guard = guarded("").guard
    assert (guard.unsupported, guard.unchecked) == (Unsupported.MARK, Unchecked.SHOW)


def test_what_becomes_of_unsupported_sentences_belongs_to_the_release(guarded: Load) -> None:
    release = guarded('unsupported = "withhold"\nunchecked = "withhold"')
    assert (release.guard.unsupported, release.guard.unchecked) == (Unsupported.WITHHOLD, Unchecked.WITHHOLD)
    assert release.id != guarded("").id


def test_a_likelihood_lies_between_0_and_1() -> None:
    with pytest.raises(ValueError, match=r"minimum_answerability is 1\.5"):
        GuardSettings(minimum_question_support=0.3, minimum_claim_support=0.6, minimum_answerability=1.5)


@pytest.mark.parametrize("more", ['unsupported = "hide"', "unchecked = 1", 'other = "mark"'])
def test_a_wrong_setting_names_the_file_and_itself(guarded: Load, more: str) -> None:
    with pytest.raises(ValueError, match=r"release\.toml.*(hide|1|other)"):
        guarded(more)


def test_a_release_that_is_not_held_is_named_in_part() -> None:
    with pytest.raises(NotFound, match="is not loaded here") as refused:
        load_release(LOCAL).require("default", "x\n" * 100_000)
    assert len(str(refused.value)) < 1_000
    assert "\n" not in str(refused.value)


def edited(tmp_path: Path, old: str, new: str) -> Path:
    """The local release with one line changed."""
    text = LOCAL.read_text(encoding="utf-8")
    assert old in text
    shutil.copytree(LOCAL.parent / "prompts", tmp_path / "prompts")
    path = tmp_path / "release.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_a_release_of_before_has_a_time_to_live(tmp_path: Path) -> None:
    assert load_release(edited(tmp_path, "time_to_live_hours = 168\n", "")).cache.time_to_live_hours == 168


@pytest.mark.parametrize("hours", ["0", "-1", "1e9", "nan"])
def test_a_time_to_live_is_more_than_none_and_less_than_ten_years(tmp_path: Path, hours: str) -> None:
    with pytest.raises(SettingsError, match="time_to_live_hours"):
        load_release(edited(tmp_path, "time_to_live_hours = 168", f"time_to_live_hours = {hours}"))


@pytest.mark.parametrize("setting", ["audit_share = 1.5", "target_false_hit_rate = 0.0"])
def test_a_share_of_audits_and_of_false_hits_is_a_share(tmp_path: Path, setting: str) -> None:
    name = setting.split()[0]
    lines = [line for line in LOCAL.read_text(encoding="utf-8").splitlines() if not line.startswith(name)]
    lines.insert(lines.index("[cache]") + 1, setting)
    (tmp_path / "prompts").symlink_to(LOCAL.parent / "prompts")
    (tmp_path / "release.toml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingsError, match=name):
        load_release(tmp_path / "release.toml")
