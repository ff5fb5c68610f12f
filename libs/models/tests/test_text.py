"""Sentences, content words and the normal form."""

from itertools import pairwise

import pytest

from plumbline_models.text import content_words, normalise, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("It is red. It glows! Why?", ["It is red.", "It glows!", "Why?"], id="marks"),
        pytest.param(
            "It costs 3.5 euros. See a.example.com now.",
            ["It costs 3.5 euros.", "See a.example.com now."],
            id="decimals",
        ),
        pytest.param(
            "Dr. Li and J. F. Kay, e.g. in the U.S. army. Yes.",
            ["Dr. Li and J. F. Kay, e.g. in the U.S. army.", "Yes."],
            id="abbreviations",
        ),
        pytest.param(
            "See No. 5. Is it safe? No. It burns.",
            ["See No. 5.", "Is it safe?", "No.", "It burns."],
            id="no_and_number",
        ),
        pytest.param(
            "Steps:\n1. Open it.\n2. Close it\n- done",
            ["Steps:", "1. Open it.", "2. Close it", "- done"],
            id="list_items",
        ),
        pytest.param(
            "A title\n\nA wrapped\nline goes on.\nNext",
            ["A title", "A wrapped\nline goes on.", "Next"],
            id="line_breaks",
        ),
        pytest.param(
            'He said "stop." Then he left. (Really.) [2] So',
            ['He said "stop."', "Then he left.", "(Really.) [2]", "So"],
            id="closing_marks",
        ),
        pytest.param("これはペンです。赤いです\uff01", ["これはペンです。", "赤いです\uff01"], id="no_spaces"),
        pytest.param("Wait... what? ok", ["Wait... what? ok"], id="goes_on_in_lower_case"),
        pytest.param("  \n ", [], id="blank"),
    ],
)
def test_sentences_are_cut_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert [span.of(text) for span in sentences(text)] == expected


@pytest.mark.parametrize("text", ["A. B.\n\n C 🗼. D", "1.\n2.\n", "..\n.. a", "\u00a0x\u2028y. Z"])
def test_every_character_but_white_space_lies_in_exactly_one_sentence(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(span.of(text).split()) for span in spans) == "".join(text.split())
    assert all(before.end <= after.start for before, after in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("The lamps are glowing", ["lamp", "glow"], id="stems_without_stop_words"),
        pytest.param(
            "1,299.00 1299 1.299,00 49.90 3.50 3,5 007 0.5",
            ["1299", "1299", "1299", "49.9", "3.5", "3.5", "7", "0.5"],
            id="numbers",
        ),
        pytest.param("49 €, 49 EUR, 20 %", ["49", "euro", "49", "euro", "20", "percent"], id="signs"),
        pytest.param(
            "It doesn't, cannot, won\u2019t, never, no", ["not", "not", "not", "never", "no"], id="denials_stay"
        ),
        pytest.param("rock 'n' roll s t d o'clock", ["rock", "n", "roll", "o'clock"], id="apostrophes"),
        pytest.param(
            "I'm on a two-year plan of Acme's X200 v1.2.3", ["2", "year", "plan", "acm", "x200", "v1.2.3"], id="names"
        ),
    ],
)
def test_content_words_have_one_form(text: str, expected: list[str]) -> None:
    assert content_words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How much is the Lamp?", "  how  much is\nthe lamp"),
        ("\u201cAurora\u201d \u2013 it\u2019s", '"aurora" - it\'s'),
        ("\uff21\uff22", "ab"),  # full width
        ("Lamp: what, then?", "lamp what then"),
        ("a\u202eb\u2066", "ab"),
        ("\u0662\u0660", "20"),
    ],
)
def test_what_means_the_same_is_normalised_to_the_same(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10² m", "102 m"),
        ("C++", "C"),
        ("1.5", "15"),
        ("is it?", "it is?"),
        ("5!", "5"),
        ("Maße", "Masse"),
        ("1, 2", "12"),
    ],
)
def test_what_means_something_else_stays_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("text", ["He is 2. 3. Then  e.g. this.\n\n1. One\n2. Two... End [1].", "", " \n", "A.\n b"])
def test_sentences_from_the_end_of_one_on_are_those_of_the_whole_text(text: str) -> None:
    whole = sentences(text)
    for index, span in enumerate(whole):
        assert sentences(text, span.end) == whole[index + 1 :]


@pytest.mark.parametrize("row", [".", "!", ". ", ", ", "\u2026", "a!", "5!", "?!"])
def test_a_long_row_of_marks_is_normalised_as_fast_as_any_text(row: str) -> None:
    text = f"a{row * 4_000}b"  # with a pattern that tries every split of the row this would never end
    assert normalise(text).endswith("b")
