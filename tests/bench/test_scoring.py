"""What answers are scored by."""

from dataclasses import replace

import pytest

from plumbline_generation.domain.answer import Answer, Evidence, Outcome
from plumbline_generation.domain.citations import Checker, cite
from plumbline_generation.testing import a_passage
from tests.bench.scoring import cited_pieces, is_held, knowledge_precision, token_f1, tokens

MINIMUM = 0.6
LAMP = a_passage("It is grey. The Aurora desk lamp costs 49 euros. It is not sold in Oslo.")


def answered(text: str) -> Answer:
    """Checked against the lamp."""
    return Answer(text, cite(text, Checker([LAMP], MINIMUM)), (LAMP,), Outcome.ANSWERED)


def test_tokens_are_those_of_the_published_script() -> None:
    assert tokens("The Lamp's price, a bargain: 49.50!") == ["lamps", "price", "bargain", "4950"]


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("The lamp.", ["lamp"], 1.0),
        ("lamp lamp", ["lamp"], 2 / 3),
        ("a grey lamp", ["red lamp", "grey desk lamp"], 0.8),
        ("chair", ["lamp"], 0.0),
        ("", ["lamp"], 0.0),
        ("lamp", [], 0.0),
    ],
)
def test_the_best_reference_counts(answer: str, references: list[str], score: float) -> None:
    assert token_f1(answer, references) == pytest.approx(score)


def test_knowledge_precision_is_the_share_of_tokens_that_the_passages_hold() -> None:
    assert knowledge_precision("The lamp costs 50", "A lamp costs 49 euros") == pytest.approx(2 / 3)
    assert knowledge_precision("", "A lamp") == 0.0


def test_a_claim_is_held_by_what_it_points_at() -> None:
    answer = answered("The Aurora desk lamp costs 49 euros.")
    assert cited_pieces(answer, answer.claims[0]) == ["Aurora desk lamp\nThe Aurora desk lamp costs 49 euros."]
    assert is_held(answer, answer.claims[0], MINIMUM)


@pytest.mark.parametrize("text", ["The Aurora desk lamp costs 50 euros.", "The lamp costs Meridian 49 euros."])
def test_a_number_or_name_that_is_not_there_is_not_held(text: str) -> None:
    claim = replace(answered("The Aurora desk lamp costs 49 euros.").claims[0], end=len(text))
    assert not is_held(Answer(text, (claim,), (LAMP,), Outcome.ANSWERED), claim, MINIMUM)


@pytest.mark.parametrize("text", ["The lamp is sold in Oslo.", "The Aurora desk lamp costs not 49 euros."])
def test_what_only_one_side_denies_is_not_held(text: str) -> None:
    start = LAMP.text.index("It is not sold") if "Oslo" in text else LAMP.text.index("The Aurora")
    claim = replace(
        answered("The Aurora desk lamp costs 49 euros.").claims[0],
        end=len(text),
        evidence=(Evidence(1, start, len(LAMP.text) if "Oslo" in text else start + 36),),
    )
    assert not is_held(Answer(text, (claim,), (LAMP,), Outcome.ANSWERED), claim, MINIMUM)


def test_a_claim_that_points_at_nothing_is_not_held_and_one_that_points_outside_is_an_error() -> None:
    answer = answered("The Aurora desk lamp costs 49 euros.")
    assert not is_held(answer, replace(answer.claims[0], evidence=()), MINIMUM)
    with pytest.raises(ValueError, match="outside"):
        is_held(answer, replace(answer.claims[0], evidence=(Evidence(1, 0, 10_000),)), MINIMUM)
