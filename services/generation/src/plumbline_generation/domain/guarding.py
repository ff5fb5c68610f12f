"""What may leave in an answer: the release of text through the guards' window, and what is done with what they find."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from plumbline_generation.domain.answer import GuardRecord, Outcome, Passage
from plumbline_generation.domain.draft import Draft
from plumbline_generation.domain.markers import Mark, MarkerFilter
from plumbline_guards.findings import Kind
from plumbline_guards.window import Action, Policy, Window
from plumbline_guards.window import Outcome as GuardOutcome

BLOCKED: Final = "This answer was held back."
BLOCKED_REASON: Final = "the guards blocked the answer"
UNSCANNED_REASON: Final = "the guards could not check the answer"

_CONTACTS: Final = frozenset({Kind.EMAIL, Kind.PHONE, Kind.IP_ADDRESS})
"""What documents are asked for, such as the number of the support desk: they are told, and counted."""
_QUOTABLE: Final = frozenset({Kind.IBAN})
"""May be told as it stands in a passage. A card, a person's number or a key is no answer wherever it stands."""


def output_policy(mode: str, *, seconds: float = 1.0, fails_open: bool = False, canary: str = "") -> Policy:
    """*mode* is redact, mark, block or off. With the first and the third a canary blocks."""
    if mode == "off":
        return Policy({})
    usual = {"redact": Action.REDACT, "mark": Action.MARK, "block": Action.BLOCK}[mode]
    actions = {kind: Action.MARK if kind in _CONTACTS else usual for kind in Kind}
    if mode != "mark":
        actions |= {Kind.CANARY: Action.BLOCK, Kind.INVISIBLE: Action.REDACT}
    return Policy(actions, seconds=seconds, fails_open=fails_open, canary=canary)


@dataclass(frozen=True, slots=True)
class OutputGuard:
    """Opens a window for each text that leaves."""

    policy: Policy
    monotonic: Callable[[], float]

    def window(self, passages: Sequence[Passage]) -> Window:
        """For a text that rests on *passages*."""

        def quoted(kind: Kind, text: str) -> bool:
            return kind in _QUOTABLE and any(text in passage.text for passage in passages)

        return Window(self.policy, self.monotonic, excused=quoted)

    def check(self, draft: Draft, passages: Sequence[Passage]) -> tuple[Draft, Window]:
        """*draft*, a text that no model wrote and that has no marks, as it may leave."""
        window = self.window(passages)
        text = window.take(draft.text) + window.finish()
        return (blocked(window) if window.closed else replace(draft, text=text)), window


class GuardedText:
    """A model's text on its way out: first without its markers, so that none can split a number, then guarded."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.text = ""
        """What was released."""
        self._markers = MarkerFilter()

    @property
    def marks(self) -> list[Mark]:
        """The model's citations, at places of the released text."""
        return [replace(mark, position=self.window.moved(mark.position)) for mark in self._markers.marks]

    def take(self, piece: str) -> str:
        """The text that is released by the next *piece*."""
        return self._released(self.window.take(self._markers.take(piece)))

    def finish(self) -> str:
        """The text that is released at the end."""
        return self._released(self.window.finish())

    def _released(self, text: str) -> str:
        self.text += text
        return text


def blocked(window: Window) -> Draft:
    """What is said in place of a text that may not leave."""
    reason = BLOCKED_REASON if window.outcome is GuardOutcome.BLOCKED else UNSCANNED_REASON
    return Draft(BLOCKED, outcome=Outcome.REFUSED, reason=reason)


def guard_record(*windows: Window) -> GuardRecord | None:
    """Of all that an answer came through; the worst outcome holds. None where the guards are off."""
    scanned = [window for window in windows if window.policy.actions]
    if not scanned:
        return None
    order = list(GuardOutcome)
    outcome = max((window.outcome for window in scanned), key=order.index)
    return GuardRecord(outcome, sum((window.counts for window in scanned), Counter()))
