"""When the documents do not answer."""

from dataclasses import replace

import pytest

from plumbline_generation.domain.refusal import LITTLE_SUPPORT, NO_PASSAGES, UNLIKELY, prospect, refusal
from plumbline_generation.testing import a_passage
from plumbline_kit.release import GuardSettings

LAMP = a_passage()
WORDS_ONLY = GuardSettings(minimum_question_support=0.3, minimum_claim_support=0.6)
SETTINGS = replace(WORDS_ONLY, minimum_answerability=0.5)
QUESTION = "How much does the Aurora lamp cost?"


def test_nothing_found_is_a_reason() -> None:
    assert prospect("How much?", (), SETTINGS).reason == NO_PASSAGES


def test_too_few_common_words_are_a_reason_that_needs_no_figure() -> None:
    expected = prospect("Who won the chess championship in Oslo?", (LAMP,), SETTINGS)
    assert expected.reason == LITTLE_SUPPORT
    assert expected.answerability is None


def test_what_is_likely_to_answer_says_how_likely() -> None:
    expected = prospect(QUESTION, (replace(LAMP, similarity=0.8),), SETTINGS)
    assert not expected.reason
    assert expected.answerability == pytest.approx(1.0, abs=0.5)


def test_what_is_unlikely_to_answer_is_a_reason_with_its_figure() -> None:
    far = replace(LAMP, similarity=0.05, text="Aurora is a lamp. Lamps are sold in several colours, and more.")
    expected = prospect("Which cable do Aurora lamps take?", (far,), SETTINGS)
    assert expected.answerability is not None
    assert expected.reason == f"{UNLIKELY} ({expected.answerability:.2f}, wanted is 0.50)"


def test_a_release_that_asks_for_no_likelihood_looks_at_words_alone() -> None:
    expected = prospect(QUESTION, (replace(LAMP, similarity=0.0),), WORDS_ONLY)
    assert not expected.reason
    assert expected.answerability is None


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (
            "\u6781\u5149\u53f0\u706f\u591a\u5c11\u94b1\uff1f",
            "\u6781\u5149\u53f0\u706f\u552e\u4ef749\u6b27\u5143\u3002",
        ),
        (
            "\u30e9\u30f3\u30d7\u306f\u3044\u304f\u3089\uff1f",
            "\u30e9\u30f3\u30d7\u306f49\u30e6\u30fc\u30ed\u3067\u3059\u3002",
        ),
    ],
    ids=["Chinese", "Japanese"],
)
def test_a_question_without_spaces_is_put_to_the_model(question: str, text: str) -> None:
    expected = prospect(question, (a_passage(text, "Lamp"),), SETTINGS)
    assert not expected.reason
    assert expected.answerability is None


def test_words_of_earlier_turns_make_a_question_no_less_likely_to_be_answered() -> None:
    condensed, near = "Aurora card number affair: what does it cost?", (replace(LAMP, similarity=0.5),)
    alone = prospect(condensed, near, SETTINGS).answerability
    both = prospect(condensed, near, SETTINGS, "What does it cost?").answerability
    assert alone is not None
    assert both is not None
    assert both > alone


def test_a_refusal_names_what_was_found_instead_once() -> None:
    others = [a_passage(title=title) for title in ("Returns", "Aurora desk lamp", "Shipping", "Stores")]
    assert refusal((LAMP, *others)) == (
        "The documents do not answer this question. Found instead: Aurora desk lamp; Returns; Shipping."
    )


def test_a_refusal_without_anything_found_says_only_that() -> None:
    assert refusal(()) == "The documents do not answer this question."
