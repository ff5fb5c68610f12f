"""When the documents do not answer."""

from plumbline_generation.domain.refusal import reason_to_refuse, refusal
from plumbline_generation.testing import a_passage

LAMP = a_passage()


def test_nothing_found_is_a_reason() -> None:
    assert reason_to_refuse("How much?", (), 0.3)


def test_too_few_common_words_are_a_reason() -> None:
    assert reason_to_refuse("Who won the chess championship in Oslo?", (LAMP,), 0.3)
    assert not reason_to_refuse("How much does the Aurora lamp cost?", (LAMP,), 0.3)


def test_a_refusal_names_what_was_found_instead_once() -> None:
    others = [a_passage(title=title) for title in ("Returns", "Aurora desk lamp", "Shipping", "Stores")]
    assert refusal((LAMP, *others)) == (
        "The documents do not answer this question. Found instead: Aurora desk lamp; Returns; Shipping."
    )


def test_a_refusal_without_anything_found_says_only_that() -> None:
    assert refusal(()) == "The documents do not answer this question."
