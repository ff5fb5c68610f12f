"""Values out of texts and back."""

from itertools import combinations, pairwise

import pytest

from plumbline_guards.findings import Kind
from plumbline_guards.placeholders import Hidden, Placeholders, Restorer, reserved
from plumbline_guards.scanner import scan

CARD, OTHER = "4111 1111 1111 1111", "5555-5555-5555-4444"


def hidden(names: Placeholders, text: str) -> Hidden:
    return names.hide(text, scan(text), lambda kind, value: True)


def test_the_same_value_has_the_same_placeholder_however_it_is_written() -> None:
    names = Placeholders()
    assert hidden(names, f"{CARD} and {OTHER}").text == "[card-1] and [card-2]"
    assert hidden(names, "4111111111111111, a@b.example").text == "[card-1], [email-1]"
    assert names.values == {"[card-1]": CARD, "[card-2]": OTHER, "[email-1]": "a@b.example"}


def test_what_stands_there_already_names_no_value() -> None:
    text = f"[card-1] is {CARD}"
    assert hidden(Placeholders(reserved([text])), text).text == "[card-1] is [card-2]"


def test_only_what_is_wanted_away_goes() -> None:
    text = f"{CARD} of a@b.example"
    shown = Placeholders().hide(text, scan(text), lambda kind, value: kind is Kind.EMAIL)
    assert shown.text == f"{CARD} of [email-1]"


def test_offsets_move_with_the_values() -> None:
    text = f"One. {CARD} two {OTHER}, three"
    shown = hidden(Placeholders(), text)
    for word in ("One", "two", "three"):
        assert shown.text[shown.moved(text.index(word)) :].startswith(word)
    assert shown.moved(text.index(CARD) + 3) == shown.text.index("[card-1]")
    assert shown.moved(len(text)) == len(shown.text)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_values_come_back_wherever_the_text_is_cut(count: int) -> None:
    text, values = "Pay [card-1] or [card-2], not [card-3] [ca", {"[card-1]": CARD, "[card-2]": OTHER}
    for places in combinations(range(1, len(text)), count):
        restorer, edges = Restorer(values), [0, *places, len(text)]
        pieces = [text[start:end] for start, end in pairwise(edges)]
        out = "".join(map(restorer.take, pieces)) + restorer.finish()
        assert out == f"Pay {CARD} or {OTHER}, not [card-3] [ca"
        assert out[restorer.moved(text.index(", not")) :].startswith(", not")


def test_nothing_is_held_back_but_what_may_become_a_placeholder() -> None:
    restorer = Restorer({"[card-1]": CARD})
    assert [restorer.take(piece) for piece in ("a", " [", "x] [card", "s [card-1", "]")] == [
        "a", " ", "[x] ", "[cards ", CARD
    ]  # fmt: skip


@pytest.mark.parametrize(
    "link",
    [
        "https://shop.example/?c=",
        "![x](/",
        "//shop.example/",
        "www.shop.example/?",
        "shop.example/?",
        "mailto:help@shop.example?body=",
        "https://shop.example/" + "a," * 2_000,
        "![x](<https://shop.example/?c= ",
        "<https:shop.example/?c=",
        '<img alt="x" src="https://shop.example/?c= ',
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_no_value_is_put_into_a_link(link: str, size: int) -> None:
    restorer, text = Restorer({"[card-1]": CARD}), f"See {link}[card-1]> and [card-1]"
    out = "".join(restorer.take(text[at : at + size]) for at in range(0, len(text), size)) + restorer.finish()
    assert out == f"See {link}[card-1]> and {CARD}"


@pytest.mark.parametrize(
    "text", ["Of a < b,", "Card/", "<b>Yours:</b>", "See https://shop.example/x. It is", "[x](/y)\n"]
)
def test_a_value_is_put_beside_a_link(text: str) -> None:
    restorer = Restorer({"[card-1]": CARD})
    assert restorer.take(f"{text} [card-1].") == f"{text} {CARD}."
