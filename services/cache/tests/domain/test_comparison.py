"""Whether a cached answer is right for the question that a fresh answer answers."""

import pytest

from plumbline_cache.domain.audit import Outcome
from plumbline_cache.domain.comparison import Comparison, Reason, Told, compare
from plumbline_models.evidence import Source

AURORA = Source(
    "Aurora", "The Aurora lamp costs 49 euros. It ships from Bergen within two days. Its shade is made of linen."
)
BOREALIS = Source("Borealis", "The Borealis lamp costs 59 euros. It ships from Trondheim within nine days.")


def told(text: str, *sources: Source, refused: bool = False) -> Told:
    return Told(text, refused, sources or (AURORA,))


@pytest.mark.parametrize(
    ("cached", "fresh", "reason"),
    [
        ("The Aurora lamp costs 49 euros.", "The Aurora lamp costs 49 euros.", Reason.WORDS),
        ("The Aurora lamp costs 49 euros.", "49 euros", Reason.WORDS),
        ("The Aurora lamp costs 49 euros.", "EUR 49 it costs, and the shade is of linen.", Reason.EVIDENCE),
        ("The shade of it: nice linen.", "Linen makes its shade.", Reason.EVIDENCE),
    ],
)
def test_the_same_in_other_words_is_the_same(cached: str, fresh: str, reason: Reason) -> None:
    assert compare(told(cached), told(fresh)) == Comparison(Outcome.SAME, reason)


@pytest.mark.parametrize(
    ("cached", "fresh", "reason"),
    [
        ("The Aurora lamp costs 49 euros.", "The Aurora lamp costs 59 euros.", Reason.NUMBERS_AND_NAMES),
        ("The Aurora lamp costs 49 euros.", "The Borealis lamp costs 49 euros.", Reason.NUMBERS_AND_NAMES),
        ("The Aurora lamp costs 49 euros.", "Its shade is made of linen.", Reason.WORDS),
        ("It ships within two days.", "It ships from Bergen.", Reason.NUMBERS_AND_NAMES),
        ("It ships within two days.", "Its shade is made of linen.", Reason.WORDS),
    ],
)
def test_another_answer_is_different(cached: str, fresh: str, reason: Reason) -> None:
    assert compare(told(cached), told(fresh, AURORA, BOREALIS)) == Comparison(Outcome.DIFFERENT, reason)


def test_a_number_that_nothing_found_holds_makes_an_answer_different_however_alike_it_is() -> None:
    cached = told("The Aurora lamp costs 59 euros and ships from Bergen.", Source("Old", "It costs 59 euros."))
    fresh = told("The Aurora lamp ships from Bergen.", AURORA)
    assert compare(cached, fresh) == Comparison(Outcome.DIFFERENT, Reason.NOT_SUPPORTED)


def test_who_refuses_has_no_answer() -> None:
    answer, refusal = told("The Aurora lamp costs 49 euros."), told("The documents do not say.", refused=True)
    assert compare(answer, refusal) == Comparison(Outcome.DIFFERENT, Reason.REFUSED)
    assert compare(refusal, refusal) == Comparison(Outcome.SAME, Reason.REFUSED)


def test_what_is_half_alike_and_rests_on_nothing_in_common_is_undecided() -> None:
    cached = told("lamp shade blue linen", Source("", "Nothing of it."))
    fresh = told("lamp shade green cotton", Source("", "Nothing of it."))
    assert compare(cached, fresh) == Comparison(Outcome.UNDECIDED, Reason.UNCLEAR)


@pytest.mark.parametrize("text", ["", "?", "\n\n", "." * 10_000, "word. " * 10_000])
def test_no_text_breaks_it(text: str) -> None:
    assert compare(told(text), told("The Aurora lamp costs 49 euros.")).outcome in Outcome
