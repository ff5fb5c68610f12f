"""What goes out of a window, and when."""

import random
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import pytest

from plumbline_guards.findings import Kind
from plumbline_guards.testing import CANARY, EXAMPLES
from plumbline_guards.window import Action, Outcome, Policy, Window, placeholder

REDACT = Policy(dict.fromkeys(Kind, Action.REDACT), canary=CANARY)


def standing_still() -> float:
    return 0.0


def through(window: Window, *pieces: str) -> str:
    return "".join(map(window.take, pieces)) + window.finish()


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=lambda value: str(value)[:24].encode("ascii", "replace"))
def test_pieces_come_out_as_the_redacted_whole(kind: Kind, example: str) -> None:
    text, draw = f"Call {example}, please.", random.Random(example)
    for place in range(1, len(text)):
        window = Window(REDACT, standing_still)
        places = [0, *sorted({place, *draw.sample(range(1, len(text)), draw.randint(0, 3))}), len(text)]
        pieces = [text[start:end] for start, end in pairwise(places)]
        assert through(window, *pieces) == f"Call {placeholder(kind)}, please."
        assert (window.outcome, window.counts) == (Outcome.CHANGED, {kind: 1})


def test_plain_words_are_held_back_no_longer_than_a_word() -> None:
    window = Window(REDACT, standing_still)
    assert [window.take(piece) for piece in ("The", " lamp", " costs", " 49", " euros", ".")] == [
        "", "The ", "lamp ", "costs ", "49 ", ""
    ]  # fmt: skip
    assert window.finish() == "euros."


def test_a_mark_changes_nothing_but_is_counted() -> None:
    window = Window(Policy({Kind.EMAIL: Action.MARK}), standing_still)
    assert through(window, "Write to a@b.example.") == "Write to a@b.example."
    assert (window.outcome, window.counts) == (Outcome.PASSED, {Kind.EMAIL: 1})


def test_a_block_ends_the_text() -> None:
    window = Window(Policy({Kind.CANARY: Action.BLOCK}, canary=CANARY), standing_still)
    assert through(window, "The word is zebra 7 lan", "tern and", " more") == "The word is "
    assert (window.outcome, window.closed) == (Outcome.BLOCKED, True)


def test_what_is_excused_stays() -> None:
    window = Window(REDACT, standing_still, excused=lambda kind, text: text == "a@b.example")
    assert through(window, "a@b.example or c@d.example") == "a@b.example or [email]"


def test_offsets_move_with_what_was_changed() -> None:
    window = Window(REDACT, standing_still)
    text = "Ask a@b.example or \u200bme now"
    out = through(window, text)
    assert out[window.moved(text.index("now")) :] == "now"
    assert window.moved(2) == 2


@pytest.mark.parametrize(("fails_open", "out"), [(True, "One two three 4111111111111111"), (False, "One ")])
def test_a_guard_that_raises_is_never_one_that_passed(
    monkeypatch: pytest.MonkeyPatch, fails_open: bool, out: str
) -> None:
    window = Window(Policy({Kind.CARD: Action.MARK}, fails_open=fails_open), standing_still)
    first = window.take("One two")

    def broken(piece: str = "") -> None:
        raise RecursionError

    monkeypatch.setattr(window._scanner, "take", broken)
    assert first + through(window, " three", " 4111111111111111") == out
    assert window.outcome is Outcome.UNSCANNED


@pytest.mark.parametrize(("fails_open", "out"), [(True, "One two three"), (False, "")])
def test_a_guard_that_takes_too_long_is_never_one_that_passed(fails_open: bool, out: str) -> None:
    ticks: Callable[[], float] = count(0.0, 2.0).__next__
    window = Window(Policy({Kind.CARD: Action.MARK}, seconds=1.0, fails_open=fails_open), ticks)
    assert through(window, "One", " two", " three") == out
    assert window.outcome is Outcome.UNSCANNED


def test_a_policy_that_raises_is_a_guard_that_failed() -> None:
    def broken(kind: Kind, text: str) -> bool:
        raise KeyError(kind)

    window = Window(REDACT, standing_still, excused=broken)
    assert through(window, "Write to a@b.example", " now") == "Write to "
    assert window.outcome is Outcome.UNSCANNED


def test_the_readme_s_example_is_true() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    exec(page.split("```python\n")[1].split("```")[0], {})
