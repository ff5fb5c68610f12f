"""The model's own markers never leak."""

import time

import pytest

from plumbline_generation.domain.markers import Mark, MarkerFilter, without_markers

CITED = "It costs 49 euros [1]. It is red.[2, 3] See [note] and a[4]."


def fed(text: str, size: int) -> MarkerFilter:
    released, seen = MarkerFilter(), ""
    for start in range(0, len(text), size):
        seen += released.take(text[start : start + size])
        assert seen == released.text
    return released


@pytest.mark.parametrize("size", range(1, 12))
def test_markers_are_found_however_the_text_is_cut(size: int) -> None:
    released = fed(CITED, size)
    assert released.text == "It costs 49 euros. It is red. See [note] and a."
    assert released.marks == [Mark(17, 1), Mark(29, 2), Mark(29, 3), Mark(46, 4)]


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize(
    ("marker", "numbers"),
    [
        ("[1; 2]", [1, 2]),
        ("[^1]", [1]),
        ("[^1, ^2]", [1, 2]),
        ("[ 1 ]", [1]),
        ("\u30101\u3011", [1]),
        ("[1,\n2]", [1, 2]),
    ],
)
def test_markers_of_other_habits_are_markers(marker: str, numbers: list[int], size: int) -> None:
    released = fed(f"It is red {marker}.", size)
    assert released.text == "It is red."
    assert released.marks == [Mark(9, number) for number in numbers]


@pytest.mark.parametrize("text", ["x[-1]", "[1-3]", "[1, x]", "[]", "[^a]", "[1000]", "[1.5]"])
def test_other_brackets_are_text(text: str) -> None:
    assert fed(f"See {text} there.", 2).text == f"See {text} there."


@pytest.mark.parametrize("inside", [", ".join("1" * 15), ", ".join("1" * 13), "1" + " " * 40])
def test_however_long_a_marker_is_it_is_one_in_pieces_if_it_is_one(inside: str) -> None:
    text = f"It is red [{inside}]."
    whole = fed(text, len(text))
    for size in (1, 5, 41):
        pieces = fed(text, size)
        assert (pieces.text, pieces.marks) == (whole.text, whole.marks)


def test_text_is_released_as_it_comes() -> None:
    released = MarkerFilter()
    assert [released.take(piece) for piece in ("It", " costs", " 49", " [", "1", "].")] == [
        "It",
        " costs",
        " 49",
        "",
        "",
        ".",
    ]


@pytest.mark.parametrize("rest", [" [", " [1", " [1,", "  \n"])
def test_what_could_have_become_a_marker_is_not_released_at_the_end(rest: str) -> None:
    assert fed(f"It is red.{rest}", 3).text == "It is red."


def test_a_marker_before_the_text_leaves_no_space() -> None:
    released = fed(" [1] It is red.", 2)
    assert (released.text, released.marks) == ("It is red.", [Mark(0, 1)])


def test_without_markers_leaves_plain_text() -> None:
    assert without_markers("Red [1, 2] and [x].") == "Red and [x]."


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("text", [" " * 50_000 + "x", "red." + "\n" * 50_000 + "x", "[" * 50_000, "[1] " * 12_500])
def test_a_text_takes_the_time_of_its_length(text: str, size: int) -> None:
    began, released = time.process_time(), MarkerFilter()
    for start in range(0, len(text), size):
        released.take(text[start : start + size])
    without_markers(text)
    assert time.process_time() - began < 5
