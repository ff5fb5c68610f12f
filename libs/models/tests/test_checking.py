"""The check of a sentence against sources; generation's tests of citations hold its rules."""

import time

import pytest

from plumbline_models.checking import MAX_SENTENCE, Checked, SentenceCheck, Standing, sentences_to_check
from plumbline_models.evidence import Source

LAMP = Source("Aurora desk lamp", "It costs 49 euros. It is made of steel. It is not waterproof.")
CLOCK = Source("Meridian clock", "The clock costs 52 euros. It is made of steel.")


def checked(sentence: str, *sources: Source) -> Checked:
    return SentenceCheck(sources or (LAMP, CLOCK), 0.6)(sentence)


def pieces(text: str) -> list[str]:
    return [span.of(text) for span in sentences_to_check(text)]


def test_each_source_that_supports_a_sentence_says_where() -> None:
    found = checked("It is made of steel.")
    assert (found.standing, found.best) == (Standing.SUPPORTED, 1.0)
    for index, source in enumerate((LAMP, CLOCK)):
        assert [span.of(source.text) for span in found.held[index].evidence] == ["It is made of steel."]


@pytest.mark.parametrize(
    ("sentence", "standing"),
    [
        ("The Aurora lamp costs 49 euros.", Standing.SUPPORTED),
        ("The Aurora lamp costs 52 euros.", Standing.UNSUPPORTED),
        ("The Aurora lamp is waterproof.", Standing.UNSUPPORTED),
        ("The Aurora lamp isn't waterproof.", Standing.SUPPORTED),
        ("Die Lampe ist aus Stahl.", Standing.NOT_CHECKED),
        ("Yes.", Standing.NO_CLAIM),
        ("", Standing.NO_CLAIM),
    ],
)
def test_a_sentence_stands_as_its_sources_hold_it(sentence: str, standing: Standing) -> None:
    assert checked(sentence).standing is standing


def test_without_sources_nothing_is_supported() -> None:
    assert SentenceCheck((), 0.6)("The lamp costs 49 euros.").standing is Standing.UNSUPPORTED
    assert checked("The Aurora desk lamp.", Source("Aurora desk lamp", "")).standing is Standing.UNSUPPORTED


def test_a_block_of_code_is_one_piece_and_no_piece_is_longer_than_the_bound() -> None:
    assert pieces("Do this:\n```\na = 1. B = 2.\n```\nThen go. Now.") == [
        "Do this:",
        "```\na = 1. B = 2.\n```",
        "Then go.",
        "Now.",
    ]
    assert pieces("  \n") == []
    endless = pieces("word " * 1_000)
    assert (len(endless), max(map(len, endless)) <= MAX_SENTENCE) == (3, True)


def test_a_long_source_takes_the_time_of_its_length() -> None:
    words = [f"w{'abcdefghij'[number // 10]}{'abcdefghij'[number % 10]}x" for number in range(100)]
    source = Source("", " ".join(f"The {words[number % 100]} is here." for number in range(20_000)))
    check = SentenceCheck([source], 0.6)
    check("It is here.")  # reads the source
    began = time.process_time()
    assert check(f"They are {' '.join(words)}.").standing is Standing.SUPPORTED
    assert time.process_time() - began < 3


def test_evidence_holds_the_names_of_the_sentence() -> None:
    text = "The lamp costs 49 euros in all stores that we have. It is made in Oslo."
    [held] = SentenceCheck([Source("", text)], 0.6)("The lamp costs 49 euros in all stores, from Oslo.").held.values()
    assert "Oslo" in " ".join(span.of(text) for span in held.evidence)
