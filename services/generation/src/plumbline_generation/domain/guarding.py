"""What may leave in an answer: the release of text through the guards' window, and what is done with what they find."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from plumbline_generation.domain.answer import GuardRecord, GuardResult, Outcome, Passage
from plumbline_generation.domain.draft import Draft
from plumbline_generation.domain.markers import Mark, MarkerFilter
from plumbline_generation.domain.screening import HIDDEN_IN_PASSAGES, HIDDEN_IN_QUESTIONS
from plumbline_guards.findings import Kind
from plumbline_guards.links import hosts_in, is_harmful, leads_elsewhere
from plumbline_guards.placeholders import Restorer
from plumbline_guards.topics import Topics
from plumbline_guards.window import Action, Policy, Window
from plumbline_guards.window import Outcome as GuardOutcome

BLOCKED: Final = "This answer was held back."
BLOCKED_REASON: Final = "the guards blocked the answer"
UNSCANNED_REASON: Final = "the guards could not check the answer"
ANSWER: Final = "answer"

_CONTACTS: Final = frozenset({Kind.EMAIL, Kind.PHONE, Kind.IP_ADDRESS})
"""What documents are asked for, such as the number of the support desk: they are told, and counted."""
_QUOTABLE: Final = frozenset({Kind.IBAN})
"""May be told as it stands in a passage. A card, a person's number or a key is no answer wherever it stands."""


def output_policy(
    mode: str, *, seconds: float = 1.0, fails_open: bool = False, canary: str = "", topics: Topics | None = None
) -> Policy:
    """*mode* is redact, mark, block or off. With the first and the third a canary and a denied topic block."""
    if mode == "off":
        return Policy({})
    usual = {"redact": Action.REDACT, "mark": Action.MARK, "block": Action.BLOCK}[mode]
    actions = {kind: Action.MARK if kind in _CONTACTS else usual for kind in Kind}
    if mode != "mark":
        actions |= {Kind.CANARY: Action.BLOCK, Kind.DENIED_TOPIC: Action.BLOCK, Kind.INVISIBLE: Action.REDACT}
    return Policy(actions, seconds=seconds, fails_open=fails_open, canary=canary, topics=topics or Topics())


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What the guards are told."""

    output: str = "redact"
    """What happens to what is found in an answer: redact, mark, block or off."""
    links: str = "redact"
    """Whether links of an answer are looked at: redact or off."""
    hidden_in_questions: frozenset[Kind] = HIDDEN_IN_QUESTIONS
    """What the model reads placeholders for, put back into the answer."""
    hidden_in_passages: frozenset[Kind] = HIDDEN_IN_PASSAGES
    """What it reads placeholders for, not put back."""
    injection: str = "block"
    """What happens to a question that attacks: block, mark or off."""
    instructions: str = "drop"
    """What happens to a passage that holds instructions: drop, mark or off."""
    topics: Topics = field(default_factory=Topics)
    """What is neither asked nor answered."""
    examples: tuple[str, ...] = ()
    """Questions on the topics that are answered; without any, all topics are."""
    minimum_similarity: float = 0.25
    """Of a question to the nearest example, in [0, 1]."""
    stored: str = "redact"
    """Whether published texts are redacted: redact or off."""
    failure: str = "closed"
    """Whether what could not be checked goes on: closed or open."""
    seconds: float = 1.0
    """Of looking, on the way in and on the way out of one answer."""
    canary: str = field(default="", repr=False)
    """A string that stands in the prompt and must never stand in an answer."""


@dataclass(frozen=True, slots=True)
class OutputGuard:
    """Opens a window for each text that leaves."""

    policy: Policy
    monotonic: Callable[[], float]
    looks_at_links: bool = True

    def window(self, passages: Sequence[Passage]) -> Window:
        """For a text that rests on *passages*."""
        return self.window_over([text for passage in passages for text in (passage.text, passage.title, passage.url)])

    def window_over(self, texts: Sequence[str], *, canary: str = "") -> Window:
        """For a text that rests on *texts*: it may quote their accounts and link to their hosts.

        Without any, all that is not harmful by itself may be linked to. *canary* takes the place of the policy's.
        """

        def quoted(kind: Kind, text: str) -> bool:
            return kind in _QUOTABLE and any(text in source for source in texts)

        @lru_cache(maxsize=1)
        def hosts() -> frozenset[str]:
            return hosts_in(texts)

        def is_unsafe(link: str) -> bool:
            return is_harmful(link) or (bool(texts) and leads_elsewhere(link, hosts()))

        policy = replace(self.policy, canary=canary) if canary else self.policy
        return Window(policy, self.monotonic, quoted, is_unsafe if self.looks_at_links else None)

    def check(self, draft: Draft, passages: Sequence[Passage]) -> tuple[Draft, Window]:
        """*draft*, a text that no model wrote and that has no marks, as it may leave."""
        window = self.window(passages)
        text = window.take(draft.text) + window.finish()
        return (blocked(window) if window.closed else replace(draft, text=text)), window


class GuardedText:
    """A model's text on its way out: without its markers, so that none can split a number, guarded, values put back."""

    def __init__(self, window: Window, restorer: Restorer) -> None:
        self.window = window
        self.text = ""
        """What was released."""
        self._markers = MarkerFilter()
        self._restorer = restorer

    @property
    def marks(self) -> list[Mark]:
        """The model's citations, at places of the released text."""
        return [replace(mark, position=self._moved(mark.position)) for mark in self._markers.marks]

    def take(self, piece: str) -> str:
        """The text that is released by the next *piece*."""
        return self._released(self._restorer.take(self.window.take(self._markers.take(piece))))

    def finish(self) -> str:
        """The text that is released at the end."""
        return self._released(self._restorer.take(self.window.finish()) + self._restorer.finish())

    def _moved(self, position: int) -> int:
        return self._restorer.moved(self.window.moved(position))

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


def guard_result(*windows: Window) -> tuple[GuardResult, ...]:
    """One for all that an answer came through, or none where the guards are off."""
    record = guard_record(*windows)
    seconds = sum(window.seconds for window in windows)
    return (GuardResult(ANSWER, record.outcome, record.counts, seconds),) if record else ()
