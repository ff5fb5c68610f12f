"""Numbers that two texts measure in different units."""

import pytest

from plumbline_models.support import assess
from plumbline_models.units import measured_otherwise

LAMP = "The Aurora lamp costs 49 euros, weighs 1.2 kg and is delivered within 3 days. Article 49 ships at 20 \u00b0C."


@pytest.mark.parametrize(
    ("claim", "numbers"),
    [
        ("It costs 49 dollars.", ("49",)),
        ("It costs $49.", ("49",)),
        ("It costs 49 USD.", ("49",)),
        ("It weighs 1.2 g.", ("1.2",)),
        ("Sie wird in 3 Wochen geliefert.", ("3",)),
        ("Ship it at 20 \u00b0F.", ("20",)),
        ("It costs 49 euros or 49 dollars.", ("49",)),
    ],
)
def test_another_unit_of_the_same_kind_is_told(claim: str, numbers: tuple[str, ...]) -> None:
    assert measured_otherwise(claim, LAMP) == numbers


@pytest.mark.parametrize(
    "claim",
    [
        "It costs \u20ac49, which is 49 EUR or 49 euros.",
        "It weighs 1.2 kilograms.",
        "Sie wird in 3 Tagen geliefert.",
        "It comes in a 3-day rush.",
        "Article 49 is a lamp.",
        "It is 49 cm tall.",
        "It costs 50 dollars.",
        "The lamp has 3 parts and 20 degrees Celsius are fine.",
    ],
    ids=lambda claim: claim[:20].encode("ascii", "replace").decode(),
)
def test_the_same_unit_another_kind_or_none_is_not(claim: str) -> None:
    assert measured_otherwise(claim, LAMP) == ()


def test_large_amounts_keep_their_unit() -> None:
    assert measured_otherwise("It earned 10 million dollars.", "It earned $10 million.") == ()
    assert measured_otherwise("It earned 10 million euros.", "It earned $10 million.") == ("10",)


def test_bytes_and_bits_are_told_from_metres_by_their_case() -> None:
    assert measured_otherwise("It holds 8 MB.", "It holds 8 GB.") == ("8",)
    assert measured_otherwise("It is 8 m long.", "It holds 8 MB.") == ()


def test_a_claim_in_other_units_has_no_support() -> None:
    support = assess("The Aurora lamp costs 49 dollars.", LAMP)
    assert (support.score, support.missing_numbers) == (0.0, ("49",))
    assert assess("The Aurora lamp costs 49 euros.", LAMP).score == 1.0
