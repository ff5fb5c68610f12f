"""Questions about now, today and whoever asks: `uncacheable_questions.csv` holds some, and others."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.uncacheable import LOOKED_AT, class_of

QUESTIONS = Path(__file__).with_name("uncacheable_questions.csv")
LABELLED = list(csv.DictReader(QUESTIONS.read_text(encoding="utf-8").splitlines()))


def told(question: str) -> str:
    found = class_of(question)
    return found.value if found else "none"


def test_the_classes_of_labelled_questions_are_found_and_others_are_left_alone() -> None:
    pairs = Counter((row["class"] != "none", told(row["question"]) != "none") for row in LABELLED)
    found, missed, wrong = pairs[True, True], pairs[True, False], pairs[False, True]
    assert found / (found + missed) >= 0.95
    assert found / (found + wrong) >= 0.95


def test_what_is_found_is_named_as_labelled() -> None:
    right = [told(row["question"]) == row["class"] for row in LABELLED]
    assert sum(right) / len(right) >= 0.95


@pytest.mark.parametrize("question", ["Where is my order?", "What's the weather like?", "WHO IS ON CALL TODAY"])
def test_all_questions_of_one_place_are_of_one_class(question: str) -> None:
    assert class_of(question) is class_of(normal_form(question)) is class_of(f"  {question.lower()}?! ")
    assert class_of(question) is not None


@pytest.mark.parametrize("words", ["what my ", "how many ", "hat ", "is my ", "qué ", "current a ", "x"])
def test_a_long_question_of_such_words_is_looked_at_up_to_a_bound(words: str) -> None:
    filler = (words * 8_000)[:LOOKED_AT]
    assert class_of(f"{filler} today?") is class_of(filler)
