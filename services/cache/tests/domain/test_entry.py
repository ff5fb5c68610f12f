"""How entries are named."""

from dataclasses import replace

import pytest

from plumbline_cache.domain.entry import Scope, entry_id, language_of, require_question
from plumbline_kit.errors import Invalid

SCOPE = Scope("acme", ("sales", "support"), "default", "r1")


def test_the_order_of_groups_makes_no_other_scope() -> None:
    assert Scope("acme", ("support", "sales"), "default", "r1").key == SCOPE.key


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Scope("globex", ("sales", "support"), "default", "r1"), id="tenant"),
        pytest.param(Scope("acme", ("sales",), "default", "r1"), id="groups"),
        pytest.param(Scope("acme", ("sales,support",), "default", "r1"), id="joined_groups"),
        pytest.param(Scope("acme", ("sales", "support"), "other", "r1"), id="application"),
        pytest.param(Scope("acme", ("sales", "support"), "default", "r2"), id="release"),
        pytest.param(replace(SCOPE, language="de"), id="language"),
        pytest.param(replace(SCOPE, conversation="5f1c"), id="conversation"),
    ],
)
def test_another_scope_has_other_places_for_the_same_question(other: Scope) -> None:
    assert entry_id(other, "Why?") != entry_id(SCOPE, "Why?")


def test_case_space_and_punctuation_make_no_other_place() -> None:
    assert entry_id(SCOPE, "  what IS it ") == entry_id(SCOPE, "What is it?")


def test_questions_without_letters_have_places_of_their_own() -> None:
    assert entry_id(SCOPE, "???") != entry_id(SCOPE, "!!!")


@pytest.mark.parametrize("question", ["", " \n", "x" * 8_001, "What\0?"])
def test_an_empty_or_oversized_question_is_invalid(question: str) -> None:
    with pytest.raises(Invalid, match="question"):
        require_question(question)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What does the lamp cost?", "en"),
        ("Was kostet die Lampe und wer liefert sie?", "de"),
        ("¿Qué es lo que cuesta la lámpara del escritorio?", "es"),
        ("Сколько стоит лампа?", "cyrillic"),
        ("Aurora?", ""),
        ("Who was in?", "en"),
        ("Was in?", "en"),
        ("", ""),
    ],
)
def test_a_question_has_a_language_where_its_words_tell_one(question: str, language: str) -> None:
    assert language_of(question) == language
