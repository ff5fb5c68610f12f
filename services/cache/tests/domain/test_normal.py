"""Which questions share a place, and which never may."""

import unicodedata
from itertools import chain
from random import Random

import pytest

from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.shareable import has_hidden

LETTERS = (
    "aA1\u00b2!.,?() \u0130\u00df\u03a3\u03c2\u200b\u200d\u202e\u0301\u00bd\u2163"
    "\u0663-\uff0d\u2013\u20ac'`\u00b4\u00a0\n\ufe0f\ufb01\u338f\u0964\uff1f!\uff1b\u2026"
    "US itITwho\U000e0041\x00\x85\u05d0\u0628"
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("What does the lamp cost?", "  what does THE\nlamp\tcost", id="case_space_end"),
        pytest.param("Lamp: what does it cost, please?", "lamp what does it cost please", id="pauses"),
        pytest.param("\uff37\uff48\uff41\uff54 \uff49\uff53 \uff12\uff10\uff1f", "What is 20?", id="full_width"),
        pytest.param("What is ٢٠?", "What is 20?", id="digits_of_another_script"),
        pytest.param("the ﬁrst ofﬁce", "the first office", id="ligatures"),
        pytest.param("Schro\u0308dinger's cat", "Schrödinger\u2019s cat", id="composed_accents_and_apostrophes"),
        pytest.param("What is\u00a0it", "What is it", id="no_break_space"),
        pytest.param("re\u200bfund pol\u00adicy", "refund policy", id="no_width"),
        pytest.param("\u200fמה המחיר?\u200e", "מה המחיר", id="marks_of_direction"),
        pytest.param("¿Qué es eso?", "qué es eso", id="spanish"),
        pytest.param("Who rules the US?", "who rules the U.S.", id="acronym"),
        pytest.param("WHO RULES THE US?", "who rules the us?", id="all_capitals"),
        pytest.param("What IS it?", "what is it", id="emphasis"),
        pytest.param("pre\u2013war", "pre-war", id="dashes"),
    ],
)
def test_what_differs_in_form_only_has_one_place(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is C?", "What is C++?"),
        ("What is C?", "What is C#?"),
        ("What is -5 squared?", "What is 5 squared?"),
        ("Is 1.5 enough?", "Is 15 enough?"),
        ("Is 1,5 enough?", "Is 15 enough?"),
        ("What is 5!?", "What is 5?"),
        ("What is n!?", "What is n?"),
        ("Who leads the US?", "Who leads us?"),
        ("What is IT?", "What is it?"),
        ("What does WHO say?", "What does who say?"),
        ("What are 10²?", "What are 102?"),
        ("Is it a+b?", "Is it a-b?"),
        ("Is it (a or b) and c?", "Is it a or (b and c)?"),
        ("Was ist die Maße?", "Was ist die Masse?"),
        ("What is 50%?", "What is 50?"),
        ("What is node.js?", "What is nodejs?"),
        ("$5 or 5?", "5 or 5?"),
        ("What is \u0430?", "What is a?"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645"),
        ("???", "!!!"),
    ],
)
def test_what_may_mean_something_else_has_another_place(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


def texts(number: int) -> list[str]:
    rng = Random(5)
    return ["".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 9))) for _ in range(number)]


def test_the_normal_form_is_its_own_normal_form() -> None:
    for text in texts(5_000):
        if (form := normal_form(text)) != text.strip():
            assert normal_form(form) == form, ascii(text)


def test_nothing_goes_into_a_normal_form_unseen_unless_the_question_is_kept_for_nobody() -> None:
    unseen = ("Cc", "Cf", "Zl", "Zp", "Zs", "Mn", "Me", "Co")
    for character in map(chr, chain(range(0x3100), range(0xFB00, 0x10000), range(0xE0000, 0xE0200))):
        if unicodedata.category(character) in unseen and normal_form(f"a{character}b") == "ab":
            assert has_hidden(f"a{character}b"), ascii(character)
