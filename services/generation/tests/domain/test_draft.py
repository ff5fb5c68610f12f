"""What is kept of a text."""

import pytest

from plumbline_generation.domain.answer import Claim, ClaimStatus, Outcome
from plumbline_generation.domain.draft import Draft, is_complete

CLAIM = Claim(0, 10, (1,), 1.0, ClaimStatus.ATTRIBUTED)


@pytest.mark.parametrize(
    ("sentence", "complete"),
    [
        ("It costs 49 euros.", True),
        ('He said "yes."', True),
        ("Is it red?", True),
        ("它是红色的\uff01", True),
        ("```\nlamp --on\n```", True),
        ("It weighs 1.", False),
        ("It is", False),
    ],
)
def test_a_sentence_is_complete_when_it_ends_as_one(sentence: str, complete: bool) -> None:
    assert is_complete(sentence) is complete


def test_whoever_has_seen_the_beginning_is_told_the_rest() -> None:
    both = Draft("It is steel.", (CLAIM,)).followed_by("It is new.", (CLAIM,))
    assert both.text == "It is steel. It is new."
    moved = both.claims[1]
    assert both.text[moved.start : moved.end] == "It is new."
    assert both.after("It is steel.") == [" It is new.", moved]


def test_whoever_has_seen_something_else_is_told_nothing() -> None:
    assert Draft("It is steel.", (CLAIM,)).after("It is gold") == []


def test_a_refusal_claims_nothing() -> None:
    assert Draft("No.", (CLAIM,), Outcome.REFUSED).answer(()).claims == ()
