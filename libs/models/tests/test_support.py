"""Support: a claim against passages, by words."""

import pytest

from plumbline_models.support import assess, question_support

PASSAGE = "The Aurora lamp costs 49 euros. It has a two-year warranty and is not waterproof. Made by Luma in Oslo."


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param("The Aurora lamp costs 49 euros [1].", 1.0, id="said_so"),
        pytest.param("1. Aurora lamps: 49.00 €", 1.0, id="other_form"),
        pytest.param("The warranty lasts 2 years.", 0.75, id="number_word"),
        pytest.param("The Aurora lamp costs 59 euros.", 0.0, id="wrong_number"),
        pytest.param("The warranty is three years.", 0.0, id="wrong_number_word"),
        pytest.param("Giraffes sleep standing.", 0.0, id="unrelated"),
        pytest.param("It is.", 0.0, id="says_nothing"),
    ],
)
def test_support_is_the_share_of_the_claim_that_the_passage_holds(claim: str, expected: float) -> None:
    assert assess(claim, PASSAGE).score == expected


def test_what_is_missing_is_named() -> None:
    support = assess("Today the Aurora lamp of Nordlys costs 59 euros.", PASSAGE)
    assert (support.missing_numbers, support.missing_names) == (("59",), ("Nordlys",))


def test_a_question_is_supported_by_its_best_passage() -> None:
    assert question_support("How much is the Aurora lamp?", ["Aurora", PASSAGE]) == 1.0
    assert question_support("How much is the Aurora lamp?", []) == 0.0
    assert question_support("What is it?", [PASSAGE]) == 0.0
