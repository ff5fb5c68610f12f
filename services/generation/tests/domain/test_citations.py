"""What each sentence rests on."""

from plumbline_generation.domain.citations import cite
from plumbline_generation.domain.markers import Mark
from plumbline_generation.testing import a_passage

LAMP = a_passage("The Aurora desk lamp costs 49 euros. It is made of steel.", "Aurora desk lamp")
CLOCK = a_passage("The Meridian clock costs 52 euros. It is made of steel.", "Meridian clock")
SOURCES = (LAMP, CLOCK)


def numbers(text: str, *marks: Mark) -> list[tuple[int, ...]]:
    return [claim.source_numbers for claim in cite(text, marks, SOURCES, 0.6)]


def test_each_sentence_cites_the_passage_that_holds_it() -> None:
    assert numbers("The Aurora costs 49 euros. The Meridian costs 52 euros.") == [(1,), (2,)]


def test_spans_are_code_points_of_the_text() -> None:
    text = "😀 Café lamps cost 49 euros. It is red."
    assert [text[claim.start : claim.end] for claim in cite(text, (), SOURCES, 0.6)] == [
        "😀 Café lamps cost 49 euros.",
        "It is red.",
    ]


def test_a_sentence_without_support_has_no_source_but_says_how_much_is_held() -> None:
    [claim] = cite("The Aurora lamp is made of gold, silver and platinum.", (), SOURCES, 0.6)
    assert claim.source_numbers == ()
    assert 0 < claim.support < 0.6


def test_a_wrong_number_is_never_supported() -> None:
    assert numbers("The Aurora desk lamp costs 94 euros.") == [()]


def test_a_name_that_no_passage_holds_is_never_supported() -> None:
    assert numbers("The Aurora desk lamp of steel costs 49 euros in Paris.") == [()]


def test_the_title_counts_as_evidence() -> None:
    source = a_passage("It costs 49 euros.", "Aurora desk lamp")
    assert cite("The Aurora desk lamp costs 49 euros.", (), (source,), 0.6)[0].support == 1.0


def test_passages_that_hold_equally_much_are_all_cited_and_lesser_ones_are_not() -> None:
    assert numbers("It is made of steel.") == [(1, 2)]
    assert numbers("The Meridian is made of steel.") == [(2,)]


def test_a_mark_of_the_model_comes_first_if_its_passage_supports_the_sentence() -> None:
    assert numbers("It is made of steel.", Mark(20, 2)) == [(2, 1)]


def test_a_mark_of_the_model_counts_for_nothing_otherwise() -> None:
    assert numbers("The Aurora costs 49 euros.", Mark(26, 2), Mark(26, 9), Mark(26, 0)) == [(1,)]


def test_a_mark_after_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    assert numbers("It is made of steel. It is made of steel.", Mark(20, 2)) == [(2, 1), (1, 2)]


def test_no_text_claims_nothing() -> None:
    assert cite("", [Mark(0, 1)], SOURCES, 0.6) == ()
