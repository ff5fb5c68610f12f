"""What goes out of a window, and when."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from plumbline_guards.findings import Finding, Kind
from plumbline_guards.links import is_harmful, leads_elsewhere
from plumbline_guards.testing import CANARY, HOSTS, SAFE_LINKS, cuts, secrets
from plumbline_guards.topics import Topics
from plumbline_guards.window import Action, Outcome, Policy, Window

REDACT = Policy(dict.fromkeys(Kind, Action.REDACT), canary=CANARY)


def standing_still() -> float:
    return 0.0


def through(window: Window, *pieces: str) -> str:
    return "".join(map(window.take, pieces)) + window.finish()


def leads_astray(link: str) -> bool:
    return is_harmful(link) or leads_elsewhere(link, HOSTS)


@pytest.mark.parametrize(
    ("text", "safe"), list(secrets()), ids=lambda value: str(value)[:32].encode("ascii", "replace")
)
def test_pieces_come_out_as_the_redacted_whole(text: str, safe: str) -> None:
    for pieces in cuts(text):
        window = Window(REDACT, standing_still, is_unsafe=leads_astray)
        assert through(window, *pieces) == safe, pieces
        assert (window.outcome, window.counts.total()) == (Outcome.CHANGED, 1)


@pytest.mark.parametrize("link", SAFE_LINKS)
def test_a_link_to_a_known_host_stays_wherever_it_is_cut(link: str) -> None:
    policy = Policy({Kind.UNSAFE_LINK: Action.REDACT})
    for pieces in cuts(f"See ![lamp]({link}), {link}."):
        assert through(Window(policy, standing_still, is_unsafe=leads_astray), *pieces) == "".join(pieces)


def test_a_denied_phrase_ends_the_text_before_it_wherever_it_is_cut() -> None:
    policy = Policy({Kind.DENIED_TOPIC: Action.BLOCK}, topics=Topics(["betting odds"]))
    for pieces in cuts("The lamp has no betting plan. Betting,  odds and more."):
        window = Window(policy, standing_still)
        assert through(window, *pieces) == "The lamp has no betting plan. "
        assert (window.outcome, window.findings) == (Outcome.BLOCKED, [Finding(Kind.DENIED_TOPIC, 30, 44)])


def test_a_denied_phrase_that_is_marked_stays_and_hides_nothing_behind_it() -> None:
    policy = Policy(dict.fromkeys(Kind, Action.MARK) | {Kind.CARD: Action.REDACT}, topics=Topics(["casino"]))
    window = Window(policy, standing_still)
    assert through(window, "A casino took 4111 1111 1111 1111") == "A casino took [card]"
    assert window.counts == {Kind.DENIED_TOPIC: 1, Kind.CARD: 1}


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
