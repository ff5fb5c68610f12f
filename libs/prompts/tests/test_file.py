"""What a prompt's file may hold, and what is said of one that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_prompts.errors import PromptProblem
from plumbline_prompts.file import PromptFile, find_prompts

Write = Callable[..., PromptFile]


def test_examples_are_passages_as_the_template_sees_them(write: Write) -> None:
    [passage] = write().example("price").numbered()
    assert (passage.number, passage.title, passage.date, passage.trust) == (1, "Lamp", "2026-05-31", "high")


def test_only_templates_and_variables_make_the_version(write: Write) -> None:
    version = write().settings().version
    assert write(("a good one", "another"), ("How much?", "Why?")).settings().version == version
    assert write(("from the", "only from the")).settings().version != version


def test_a_release_sets_variables_within_their_kind(write: Write) -> None:
    prompt = write(more='\n[variables.most]\ntype = "number"\n')
    assert prompt.settings({"most": 3}).variables == {"most": 3}
    assert prompt.sample().variables == {"most": 1}
    for values in ({}, {"most": "three"}, {"most": 3, "least": 1}):
        with pytest.raises(PromptProblem):
            prompt.settings(values)


@pytest.mark.parametrize(
    ("changes", "more", "problem"),
    [
        ([("system", "sytem")], "", "system: Field required; sytem: Extra inputs are not permitted"),
        ([("trust =", "trusted =")], "", r"examples\[1\]\.passages\[1\]\.trusted"),
        ([('"high"', '"total"')], "", r"examples\[1\]\.passages\[1\]\.trust"),
        ([('example = "price"', 'example = "prize"')], "", "examples that are not there: prize"),
        ([], '\n[[examples]]\nname = "price"\nquestion = "?"\n', "two examples have the name price"),
        ([], '\n[variables.question]\ndefault = "?"\n', "question is given with every request"),
        ([], '\n[[tests]]\nname = "x"\nexample = "price"\nanswer.matches = "("\n', "no regular expression"),
        ([], '\n[[tests]]\nname = "x"\nexample = "price"\n', r"tests\[2\]: .*it tests nothing"),
        ([], "\n[[tests]]\n", r"tests\[2\]\.name"),
        ([("template = '''", "template = ''")], "", "prompt file .*answer.toml"),
    ],
)
def test_everything_that_is_wrong_is_named(
    write: Write, changes: list[tuple[str, str]], more: str, problem: str
) -> None:
    with pytest.raises(PromptProblem, match=problem):
        write(*changes, more=more)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptProblem, match=r"none\.toml: no such file or directory$"):
        PromptFile.load(tmp_path / "none.toml")


def test_a_release_is_told_from_a_prompt() -> None:
    with pytest.raises(PromptProblem, match=r"neither system nor template; a release names its prompt's file"):
        PromptFile.load(Path(__file__).parents[3] / "deploy/local/release.toml")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([], 9),
        ([("template = '''\n", "template = '''")], 8),
        ([("template = '''\n", 'template = """\n'), ("{{ question }}\n'''", '{{ question }}\n"""')], 9),
    ],
    ids=["own line", "same line", "basic string"],
)
def test_a_line_of_a_template_is_a_line_of_the_file(write: Write, changes: list[tuple[str, str]], line: int) -> None:
    assert write(*changes).line("template", 1) == line + 1
    assert write(*changes).line("template", 3) == line + 3


def test_the_prompts_of_a_folder_are_found(tmp_path: Path, write: Write) -> None:
    own = write().path
    (tmp_path / "release.toml").write_text("[prompt]\nsystem = 'a'\ntemplate = 'b'\n", encoding="utf-8")
    (tmp_path / "broken.toml").write_text("system = ", encoding="utf-8")
    assert find_prompts(tmp_path) == [own]
