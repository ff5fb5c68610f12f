"""What is found in a prompt without a model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_prompts.file import PromptFile, find_prompts
from plumbline_prompts.lint import Finding, Severity, lint

Write = Callable[..., PromptFile]
Changes = list[tuple[str, str]]
ROOT = Path(__file__).parents[3]
PASSAGE = "[{{ passage.number }}] {{ passage.title }}: {{ passage.text }}"
QUESTION = "Question: {{ question }}"


def words(text: str) -> int:
    return len(text.split())


def found(prompt: PromptFile) -> dict[str, Finding]:
    return {finding.code: finding for finding in lint(prompt, words)}


def test_nothing_is_found_in_a_good_prompt(write: Write) -> None:
    assert lint(write(), words) == []


@pytest.mark.parametrize("path", find_prompts(ROOT / "deploy"), ids=lambda path: path.stem)
def test_nothing_is_found_in_the_prompts_of_this_repository(path: Path) -> None:
    assert lint(PromptFile.load(path), words) == []


@pytest.mark.parametrize(
    ("code", "line", "changes"),
    [
        ("template-error", 11, [(PASSAGE, "{{ passage.number }")]),
        ("template-error", 14, [(QUESTION, "{{ question.nothing }}")]),
        ("unknown-variable", 14, [(QUESTION, "Question for {{ firm }}: {{ question }}")]),
        ("varying-instructions", 5, [("You answer", "You answer {{ question }}")]),
        ("varying-instructions", 11, [(PASSAGE, PASSAGE + " {{ [1, 2] | random }}")]),
        ("unused-variable", 10, [(QUESTION, "Question:")]),
        ("question-missing", 14, [(QUESTION, "{% if not question %}Question:{% endif %}")]),
        ("passages-missing", 10, [(PASSAGE, "[{{ passage.number }}] {{ passage.title }}")]),
        ("question-before-passages", 10, [("template = '''", "template = '''\n{{ question }}"), (QUESTION, "Answer:")]),
        ("passages-not-delimited", 10, [(PASSAGE + "\n", PASSAGE + " {{ '' -}}\n")]),
        ("numbered-by-place", 11, [("passage.number", "loop.index")]),
        ("open-position", 11, [(PASSAGE, "[{{ passage.number }}] <p title={{ passage.title }}> {{ passage.text }}")]),
        ("open-position", 11, [("{{ passage.title }}:", "[{{ passage.title }}]")]),
    ],
)
def test_what_does_not_work_or_is_not_safe_is_an_error(write: Write, code: str, line: int, changes: Changes) -> None:
    finding = found(write(*changes))[code]
    assert (finding.severity, finding.line) == (Severity.ERROR, line)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("no-abstention", [("If they do not hold the answer, say that you do not know.", "Be brief.")]),
        ("dated-instructions", [("You answer", "Today is 2026-11-24. You answer")]),
        ("dated-instructions", [("You answer", "Since 3 March 2026 you answer")]),
        ("dated-instructions", [("You answer", "Session 0b0e8f6e-6a5d-4c3f-9a3c-5f2f7d1c2b4a. You answer")]),
        ("long-instructions", [("You answer", "word " * 401)]),
        ("passages-without-number", [("[{{ passage.number }}] ", "")]),
        ("quoted-text", [(QUESTION, 'Question: "{{ question }}"')]),
    ],
)
def test_what_most_would_have_otherwise_is_a_warning(write: Write, code: str, changes: Changes) -> None:
    assert found(write(*changes))[code].severity is Severity.WARNING


def test_a_variable_that_is_declared_and_not_used_is_a_warning(write: Write) -> None:
    prompt = write(more='\n[variables.firm]\ndefault = "Brindlewick"\n')
    assert found(prompt)["unused-variable"].severity is Severity.WARNING


def test_a_variable_that_is_declared_may_be_used_everywhere(write: Write) -> None:
    changes = [("You answer", "You answer for {{ firm }}"), (QUESTION, "{{ firm }} {{ question }}")]
    assert lint(write(*changes, more='\n[variables.firm]\ndescription = "whose documents"\n'), words) == []


def test_tags_and_fences_are_good_delimiters(write: Write) -> None:
    tagged = "<passage>\n[{{ passage.number }}] {{ passage.title }}\n{{ passage.text }}\n</passage>"
    assert lint(write((PASSAGE, tagged), (QUESTION, "```\n{{ question }}\n```")), words) == []


def test_an_example_that_does_not_render_is_an_error(write: Write) -> None:
    prompt = write((QUESTION, "{% if question == 'How much?' %}{{ 1 / 0 }}{% endif %}Question: {{ question }}"))
    assert found(prompt)["example-error"].severity is Severity.ERROR


def test_without_examples_and_tests_something_is_missing(write: Write) -> None:
    bare = write()
    codes = found(bare.model_copy(update={"examples": (), "tests": ()}))
    assert {code: finding.severity for code, finding in codes.items()} == {
        "no-examples": Severity.INFO,
        "no-tests": Severity.INFO,
    }


def test_a_finding_may_be_allowed_with_a_reason_as_long_as_it_is_there(write: Write) -> None:
    change = ("If they do not hold the answer, say that you do not know.", "Be brief.")
    allowance = '\n[lint]\nallow.no-abstention = "refusing is done elsewhere"\n'
    assert lint(write(change, more=allowance), words) == []
    assert [finding.code for finding in lint(write(more=allowance), words)] == ["needless-allowance"]


def test_without_a_tokenizer_the_length_is_not_looked_at(write: Write) -> None:
    assert lint(write(("You answer", "word " * 401)), None) == []
