"""`index` against a server that speaks the contract: generations shown, compared, switched and switched back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline_cli.comparing import Found, Question, compare, hit, ndcg

QUESTIONS = [f"question {number}" for number in range(200)]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    lines = [json.dumps({"question": text, "relevant": [f"answer to {text}"]}) for text in QUESTIONS]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return path


def ranking(found: Callable[[int], bool]) -> dict[str, list[str]]:
    """What a generation finds: the answer first where *found* says so, else second."""
    right = {text: [f"answer to {text}", "other", "other"] for text in QUESTIONS}
    wrong = {text: ["other", "other", f"answer to {text}"] for text in QUESTIONS}
    return {text: (right if found(number) else wrong)[text] for number, text in enumerate(QUESTIONS)}


def test_generations_are_listed(plumbline: Any, platform: Any) -> None:
    platform.rankings = {"old": {}, "new": {}}
    lines = plumbline("index", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["generation", "old", "new"]
    assert [each["serving"] for each in plumbline.json("index", "list")] == [True, False]


def test_a_generation_that_finds_as_much_is_shown_to_and_is_switched_to(
    plumbline: Any, platform: Any, questions: Path
) -> None:
    platform.rankings = {"old": ranking(lambda number: number % 4 > 0), "new": ranking(lambda number: True)}
    result = plumbline("index", "compare", questions)
    assert result.exit_code == 0
    assert "hit@1" in result.stdout
    assert "won  question 96" in result.stdout
    [comparison] = plumbline.json("index", "compare", questions)
    first = comparison["differences"][0]
    assert (first["measure"], first["before"], first["after"]) == ("hit@1", 0.75, 1.0)
    assert 0 < first["low"] < 0.25 < first["high"]
    assert comparison["passed"] is True
    switched = plumbline("index", "switch", "--questions", questions)
    assert switched.exit_code == 0
    assert "new answers" in switched.stdout
    assert platform.serving == "new"


def test_one_that_may_lose_is_not_switched_to_unless_somebody_insists(
    plumbline: Any, platform: Any, questions: Path
) -> None:
    platform.rankings = {"old": ranking(lambda number: True), "new": ranking(lambda number: number not in (7, 8, 9))}
    assert plumbline("index", "compare", questions).exit_code == 1
    refused = plumbline("index", "switch", "--questions", questions)
    assert refused.exit_code == 1
    assert "not switched" in refused.stderr
    assert "150 questions" in refused.stderr
    assert "lost  question 7" in refused.stderr
    assert refused.stdout == ""
    assert platform.serving == "old"
    assert "--unmeasured" in plumbline("index", "switch").stderr
    assert plumbline("index", "switch", "--questions", questions, "--margin", "0.1").exit_code == 0
    assert platform.serving == "new"


def test_back_and_switch_can_be_said_twice(plumbline: Any, platform: Any) -> None:
    platform.rankings, platform.serving = {"old": {}, "new": {}}, "new"
    assert plumbline.json("index", "back") == [{"serving": "old", "previous": "new"}]
    assert plumbline.json("index", "back") == [{"serving": "old", "previous": "old"}]
    assert plumbline.json("index", "switch", "--unmeasured") == [{"serving": "new", "previous": "old"}]
    assert plumbline.json("index", "switch", "--unmeasured") == [{"serving": "new", "previous": "new"}]


def test_questions_whose_answers_nobody_finds_prove_nothing(plumbline: Any, platform: Any, questions: Path) -> None:
    platform.rankings = {"old": {}, "new": {}}
    assert "are their ids right" in plumbline("index", "switch", "--questions", questions).stderr
    assert platform.serving == "old"


def test_one_generation_alone_is_nothing_to_compare_with(plumbline: Any, platform: Any, questions: Path) -> None:
    platform.rankings = {"old": {}}
    assert "CANDIDATE_ENCODER_DIR" in plumbline("index", "compare", questions).stderr


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"question": "", "relevant": ["a"]}', '{"question": "q", "relevant": []}']
)
def test_a_wrong_line_is_named(plumbline: Any, tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(f'{{"question": "q", "relevant": ["a"]}}\n{line}\n', encoding="utf-8")
    assert "line 2" in plumbline("index", "compare", path).stderr


def test_too_few_questions_are_refused(plumbline: Any, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "q", "relevant": ["a"]}\n', encoding="utf-8")
    assert "at least 2" in plumbline("index", "compare", path).stderr


def test_the_measures_are_those_of_the_literature() -> None:
    relevant = frozenset(["a", "b"])
    assert (hit(["x", "a"], relevant, 1), hit(["x", "a"], relevant, 2)) == (0, 1)
    assert ndcg(["a", "b"], relevant) == 1
    assert ndcg(["x", "a"], relevant) == pytest.approx(0.6309 / 1.6309, abs=1e-4)


@pytest.mark.parametrize(("count", "enough"), [(100, False), (150, True)])
def test_two_that_find_the_same_may_still_differ_on_what_was_not_asked(count: int, enough: bool) -> None:
    questions = [Question(text, frozenset(["a"])) for text in QUESTIONS[:count]]
    found = [Found(["a"] if number % 2 else ["x"], 1.0) for number in range(count)]
    comparison = compare(questions, found, found)
    assert {each.gain for each in comparison.differences} == {0}
    assert (comparison.won, comparison.lost) == ((), ())
    assert comparison.loses_at_most(0.02) is enough


def test_an_interval_ends_where_the_measure_does() -> None:
    questions = [Question(text, frozenset(["a"])) for text in QUESTIONS[:2]]
    comparison = compare(questions, [Found(["x"], 1.0)] * 2, [Found(["a"], 1.0)] * 2)
    assert {(each.low, each.high) for each in comparison.differences} == {(0.0, 1.0)}
