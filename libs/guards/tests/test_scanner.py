"""What is found, in whole texts and in pieces, and how long hostile ones take."""

import random
import time
from itertools import pairwise

import pytest

from plumbline_guards.findings import Finding, Kind
from plumbline_guards.scanner import MAX_CHAIN, MAX_RUN, Scanner, scan
from plumbline_guards.testing import ASSIGNMENTS, CANARY, EXAMPLES, HARMLESS

MEGABYTE = 1_000_000
HOSTILE = {
    "digits": "1",
    "spaced digits": "1 ",
    "groups of digits": "4539 2147 ",
    "comma digits": "4111111111111111111,",
    "base64": "QUJDabc+/9==",
    "base64 lines": "QUJDabc0" * 250 + " ",
    "long mails": "a" * 1000 + "@" + "b." * 400 + " ",
    "at signs": "a@" * 1000 + " ",
    "dots": "1." * 1000 + " ",
    "colons": "a1:" * 600 + " ",
    "hyphens": "1-" * 1000 + " ",
    "key beginnings": "-----BEGIN ",
    "key endings": "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA-----END ",
    "schemes": "a://b:" * 300 + " ",
    "tokens": "eyJabcdefgh." * 150 + " ",
    "keywords": "password" * 200 + " ",
    "ibans": "GB56 ",
    "invisible": "1\u200b",
    "parentheses": "(1) ",
    "quotes": "\"'",
}


def settled(pieces: list[str], canary: str = "") -> list[Finding]:
    """As `scan`, of a text in *pieces*."""
    scanner = Scanner(canary)
    parts = [part for piece in pieces for part in scanner.take(piece)] + scanner.finish()
    assert "".join(part.text for part in parts) == "".join(pieces)
    found, at = list[Finding](), 0
    for part in parts:
        end = at + len(part.text)
        if part.kind:
            found = (
                [*found[:-1], Finding(part.kind, found[-1].start, end)]
                if part.goes_on
                else [
                    *found,
                    Finding(part.kind, at, end),
                ]
            )
        at = end
    return found


def cut(text: str, *places: int) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=lambda value: str(value)[:24].encode("ascii", "replace"))
@pytest.mark.parametrize(
    "frame", ["{}", "Say {} to her.", '{{"x":"{}"}}', "\u6f22{}\u5b57", "a\n{}\nb", "one ({}), two"]
)
def test_every_example_is_found_and_nothing_else(kind: Kind, example: str, frame: str) -> None:
    text = frame.format(example)
    start = text.index(example)
    assert scan(text, CANARY) == [Finding(kind, start, start + len(example))]


@pytest.mark.parametrize(("text", "secret"), ASSIGNMENTS)
def test_a_secret_is_known_by_the_word_before_it(text: str, secret: str) -> None:
    [found] = scan(text)
    assert (found.kind, text[found.start : found.end]) == (Kind.SECRET, secret)


@pytest.mark.parametrize("frame", ["lamp.{}", "_{}_", "lamp{}", "{}EUR", '{{"text": "Pay:\\\\n{}"}}'])
@pytest.mark.parametrize("card", ["4111111111111111", "5555 5555 5555 4444", "3782-822463-10005"])
def test_a_card_is_found_whatever_it_is_glued_to(frame: str, card: str) -> None:
    text = frame.format(card)
    start = text.index(card)
    assert scan(text) == [Finding(Kind.CARD, start, start + len(card))]


def test_a_key_is_found_behind_the_line_end_of_a_json_text() -> None:
    assert [found.kind for found in scan('"Key:\\n' + "AKIA" + 'IOSFODNN7EXAMPLE"')] == [Kind.SECRET]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert scan(text) == []


@pytest.mark.parametrize("example", [text for _, text in EXAMPLES] + [text for text, _ in ASSIGNMENTS])
def test_wherever_a_text_is_cut_the_same_is_found(example: str) -> None:
    text, draw = f"Call 12 or {example} 5, then {example}.", random.Random(example)
    whole = scan(text, CANARY)
    assert whole
    for place in range(1, len(text)):
        more = draw.sample(range(1, len(text)), draw.randint(0, 3))
        assert settled(cut(text, place, *more), CANARY) == whole
    assert settled(list(text), CANARY) == whole


def test_random_texts_of_the_characters_that_matter_are_the_same_in_pieces() -> None:
    draw = random.Random(0)
    alphabet = [
        "1",
        "23",
        "4111",
        " ",
        "  ",
        "-",
        "--",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "A" * 16,
        "-----END ",
        "@",
        "a",
        ".b",
        "password",
        "token",
        ":",
        "=",
        '"',
        "'",
        "GB82",
        "WEST",
        "(",
        ")",
        "+",
        "\u200b",
        "\u00a0",
        "\n",
        ",",
        "zebra",
        " 7",
        " lantern",
    ]
    for _ in range(400):
        text = "".join(draw.choices(alphabet, k=draw.randint(2, 60)))
        places = [draw.randrange(len(text)) for _ in range(draw.randint(1, 8))]
        assert settled(cut(text, *places), CANARY) == scan(text, CANARY), text
        assert settled(list(text), CANARY) == scan(text, CANARY), text


@pytest.mark.parametrize("canary", ["", "\u200b"])
def test_a_canary_that_is_not_seen_is_found_nowhere(canary: str) -> None:
    assert scan("It is red.", canary) == []


def test_a_chain_of_numbers_without_end_hides_no_card() -> None:
    for before in range(MAX_CHAIN - 120, MAX_CHAIN + 120):
        text = "7 " * (before // 2) + "7" * (before % 2) + " 4111 1111 1111 1111 " + "7 " * MAX_CHAIN
        assert [found.kind for found in scan(text)] == [Kind.CARD], before
        assert settled(cut(text, *range(5, len(text), 7))) == scan(text)


def test_a_private_key_without_end_is_caught_to_the_end_and_not_kept() -> None:
    scanner, released = Scanner(), []
    released += scanner.take("Here: -----BEGIN PRIVATE KEY-----\n")
    for _ in range(10_000):
        released += scanner.take("MIIEvQIBADANBgkq" * 64 + "\n")
        assert len(scanner.held) < 200
    released += scanner.finish()
    assert "".join(part.text for part in released if part.kind is not Kind.PRIVATE_KEY) == "Here: "
    assert sum(len(part.text) for part in released) > 10_000_000


def test_a_run_that_is_too_long_to_look_at_is_a_finding_to_its_end() -> None:
    text = "See " + "x" * (MAX_RUN + 5_000) + " there"
    assert scan(text) == [Finding(Kind.LONG_RUN, 4, 4 + MAX_RUN + 5_000)]
    assert settled(cut(text, *range(3, len(text), 11))) == scan(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_seconds_at_most(name: str) -> None:
    unit = HOSTILE[name]
    text = (unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE]
    began = time.process_time()
    scan(text)
    # Linear in all: what is one short unit after the other is slower, what is quadratic takes hours.
    assert time.process_time() - began < (2 if name in ("digits", "base64", "base64 lines") else 12)
