"""What each sentence rests on."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from plumbline_generation.domain.answer import Claim, ClaimStatus, Evidence, Passage
from plumbline_generation.domain.citations import Checker, cite
from plumbline_generation.testing import a_passage
from plumbline_models.text import Span

LAMP = a_passage("The Aurora desk lamp costs 49 euros. It is made of steel.", "Aurora desk lamp")
CLOCK = a_passage("The Meridian clock costs 52 euros. It is made of steel.", "Meridian clock")
SOURCES = (LAMP, CLOCK)


def numbers(text: str) -> list[tuple[int, ...]]:
    return [claim.source_numbers for claim in cite(text, Checker(SOURCES, 0.6))]


def checked(sentence: str, *marked: int, sources: Sequence[Passage] = SOURCES) -> Claim:
    return Checker(sources, 0.6).check(sentence, Span(0, len(sentence)), marked)


def test_each_sentence_cites_the_passage_that_holds_it() -> None:
    assert numbers("The Aurora costs 49 euros. The Meridian costs 52 euros.") == [(1,), (2,)]


def test_spans_are_code_points_of_the_text() -> None:
    text = "😀 Café lamps cost 49 euros. It is red."
    assert [text[claim.start : claim.end] for claim in cite(text, Checker(SOURCES, 0.6))] == [
        "😀 Café lamps cost 49 euros.",
        "It is red.",
    ]


def test_a_sentence_without_support_has_no_source_but_says_how_much_is_held() -> None:
    claim = checked("The Aurora lamp is made of gold, silver and platinum.")
    assert (claim.source_numbers, claim.evidence, claim.status) == ((), (), ClaimStatus.UNSUPPORTED)
    assert 0 < claim.support < 0.6


def test_a_wrong_number_is_never_supported() -> None:
    assert numbers("The Aurora desk lamp costs 94 euros.") == [()]


def test_a_name_that_no_passage_holds_is_never_supported() -> None:
    assert numbers("The Aurora desk lamp of steel costs 49 euros in Paris.") == [()]


def test_the_title_counts_as_evidence() -> None:
    source = a_passage("It costs 49 euros.", "Aurora desk lamp")
    assert checked("The Aurora desk lamp costs 49 euros.", sources=(source,)).support == 1.0


def test_passages_that_hold_equally_much_are_all_cited_and_lesser_ones_are_not() -> None:
    assert numbers("It is made of steel.") == [(1, 2)]
    assert numbers("The Meridian is made of steel.") == [(2,)]


@pytest.mark.parametrize(
    ("sentence", "marked", "numbers", "status"),
    [
        ("It is made of steel.", (2,), (2, 1), ClaimStatus.SUPPORTED),
        ("It is made of steel.", (), (1, 2), ClaimStatus.ATTRIBUTED),
        ("The Aurora costs 49 euros.", (1, 2, 9, 0), (1,), ClaimStatus.SUPPORTED),
        ("The Aurora costs 49 euros.", (2,), (1,), ClaimStatus.REPAIRED),
        ("The Aurora costs 49 euros.", (9, 0), (1,), ClaimStatus.REPAIRED),
        ("The Aurora costs 94 euros.", (1,), (), ClaimStatus.UNSUPPORTED),
    ],
    ids=["as cited", "found", "some of those cited", "another", "one that is not there", "none"],
)
def test_citations_are_kept_found_repaired_or_removed(
    sentence: str, marked: tuple[int, ...], numbers: tuple[int, ...], status: ClaimStatus
) -> None:
    claim = checked(sentence, *marked)
    assert (claim.source_numbers, claim.status) == (numbers, status)


@pytest.mark.parametrize(
    "sentence",
    [
        "Yes.",
        "No!",
        "Hello there!",
        "## Key Features",
        "It comes in three parts:",
        "Shall I go on?",
        "---",
        "Sí.",
        "1.",
    ],
)
def test_what_claims_nothing_says_so(sentence: str) -> None:
    assert checked(sentence).status is ClaimStatus.NO_CLAIM


@pytest.mark.parametrize("sentence", ["## Only 94 euros", "It costs 94 euros:", "Did you know it costs 94 euros?"])
def test_a_wrong_number_is_a_claim_wherever_it_stands(sentence: str) -> None:
    assert checked(sentence).status is ClaimStatus.UNSUPPORTED


GERMAN = a_passage("Die Lampe kostet 49 Euro. Sie ist aus Stahl und wird in einer Schachtel geliefert.", "Lampe")
CHINESE = a_passage("这盏灯的价格是49欧元。它是用钢做的。", "灯")
RUSSIAN = a_passage("Лампа стоит 49 евро. Она сделана из стали.", "Лампа")


@pytest.mark.parametrize(
    ("sentence", "source", "status"),
    [
        ("Die Lampe kostet 49 Euro.", GERMAN, ClaimStatus.ATTRIBUTED),
        ("Die Lampe wird in der stählernen Schachtel geliefert.", GERMAN, ClaimStatus.ATTRIBUTED),
        ("Die Lieferung der Lampe ist in einer Schachtel.", GERMAN, ClaimStatus.NOT_CHECKED),
        ("Unsere Giraffen schlafen stehend.", GERMAN, ClaimStatus.UNSUPPORTED),
        ("Die Lampe kostet 94 Euro.", GERMAN, ClaimStatus.UNSUPPORTED),
        ("Die Lampe ist aus Stahl.", LAMP, ClaimStatus.NOT_CHECKED),
        ("The lamp is made of steel.", GERMAN, ClaimStatus.NOT_CHECKED),
        ("它是用钢做的。", CHINESE, ClaimStatus.ATTRIBUTED),
        ("它是用金做的。", CHINESE, ClaimStatus.NOT_CHECKED),
        ("它是用钢做的。", LAMP, ClaimStatus.NOT_CHECKED),
        ("Лампа стоит 49 евро.", RUSSIAN, ClaimStatus.ATTRIBUTED),
        ("Лампа не стоит 49 евро.", RUSSIAN, ClaimStatus.NOT_CHECKED),
        ("มันทำจากเหล็ก", LAMP, ClaimStatus.NOT_CHECKED),
    ],
)
def test_what_words_cannot_judge_is_neither_supported_nor_unsupported(
    sentence: str, source: Passage, status: ClaimStatus
) -> None:
    assert checked(sentence, sources=(source,)).status is status


def test_evidence_are_the_sentences_that_hold_the_claim_in_code_points_of_the_document() -> None:
    text = "😀 Lamps. The Aurora desk lamp costs 49 euros. It weighs 1.2 kilograms. It is made of steel."
    source = replace(a_passage(text), start=100, end=100 + len(text))
    found = [text[one.start - 100 : one.end - 100] for one in checked("It costs 49 euros.", sources=(source,)).evidence]
    assert found == ["The Aurora desk lamp costs 49 euros."]
    both = checked("The Aurora costs 49 euros and weighs 1.2 kilograms.", sources=(source,)).evidence
    assert [text[one.start - 100 : one.end - 100] for one in both] == [
        "The Aurora desk lamp costs 49 euros.",
        "It weighs 1.2 kilograms.",
    ]


def test_a_passage_that_is_no_plain_piece_of_its_document_is_evidence_as_a_whole() -> None:
    table = replace(a_passage("| lamp | price |\n| Aurora | 49 euros |"), start=300, end=320)
    assert checked("The Aurora costs 49 euros.", sources=(table,)).evidence == (Evidence(1, 300, 320),)


def test_no_text_claims_nothing() -> None:
    assert cite("", Checker(SOURCES, 0.6)) == ()


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Water damage is not covered by the warranty.", "Water damage is covered by the warranty."),
        ("Water damage is covered by the warranty.", "Water damage is not covered by the warranty."),
        ("Nobody covers water damage by warranty.", "The warranty covers water damage."),
    ],
)
def test_a_sentence_that_says_the_contrary_of_its_passage_is_not_supported(sentence: str, passage: str) -> None:
    assert checked(sentence, sources=(a_passage(passage, "Warranty"),)).status is ClaimStatus.UNSUPPORTED


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Water damage isn't covered.", "Water damage is not covered by the warranty."),
        ("The lamp costs 49 euros.", "The lamp costs 49 euros. It is not waterproof."),
        (
            "The warranty lasts two years.",
            "The warranty lasts two years, but it does not cover water, dust, rust or theft.",
        ),
    ],
)
def test_a_denial_that_is_about_something_else_does_not_count(sentence: str, passage: str) -> None:
    assert checked(sentence, sources=(a_passage(passage, "Warranty"),)).status is ClaimStatus.ATTRIBUTED


def test_passages_of_two_languages_support_sentences_of_both() -> None:
    assert checked("Unsere Giraffen schlafen stehend.", sources=(LAMP, GERMAN)).status is ClaimStatus.UNSUPPORTED
    assert checked("Die Lampe kostet 49 Euro.", sources=(LAMP, GERMAN)).source_numbers == (2,)
