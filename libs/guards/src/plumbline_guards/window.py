"""A window on a stream: text goes out as soon as it can be no part of a finding, and what was found by policy."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import structlog

from plumbline_guards.findings import Finding, Kind
from plumbline_guards.scanner import IsUnsafe, Part, Scanner
from plumbline_guards.topics import Topics, TopicWatch

SLICE: Final = 4_096
"""Characters between two looks at the clock."""

log = structlog.get_logger()


class Action(Enum):
    """What happens to what was found."""

    PASS = "pass"
    MARK = "mark"
    """Counted; the text stays."""
    REDACT = "redact"
    """A placeholder such as [card] stands in its place."""
    BLOCK = "block"
    """The text ends before it."""


class Outcome(Enum):
    """How a text came through."""

    PASSED = "passed"
    CHANGED = "changed"
    BLOCKED = "blocked"
    UNSCANNED = "unscanned"
    """The guard failed or ran out of time. What was released then, policy says."""


def _never(kind: Kind, text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do, and what if that fails. Kinds that are not named pass uncounted; with none nothing is scanned."""

    actions: Mapping[Kind, Action]
    seconds: float = 1.0
    """Of scanning, for one text."""
    fails_open: bool = False
    """Whether what could not be scanned goes out as it is, or not at all."""
    canary: str = ""
    topics: Topics = field(default_factory=Topics)


@dataclass
class Window:
    """Holds back no more than `Scanner` does. Whole texts go through `take` and `finish` as well."""

    policy: Policy
    monotonic: Callable[[], float]
    excused: Callable[[Kind, str], bool] = _never
    """Whether a text of a kind that is redacted stays all the same."""
    is_unsafe: IsUnsafe | None = None
    """Which links nobody should follow; without it, none are looked for."""
    outcome: Outcome = Outcome.PASSED
    findings: list[Finding] = field(default_factory=list)
    """Offsets are those of the text taken. What was excused is among them, what passes is not."""
    edits: list[tuple[int, int]] = field(default_factory=list)
    """For each change: the offset behind it in the text taken, and by how much the text that goes out is longer."""
    seconds: float = 0.0
    """Spent on looking."""
    _read: int = 0

    def __post_init__(self) -> None:
        self._scanner = Scanner(self.policy.canary, self.is_unsafe)
        self._watch = TopicWatch(self.policy.topics)

    @property
    def counts(self) -> Counter[Kind]:
        """How many there were of each kind."""
        return Counter(finding.kind for finding in self.findings)

    @property
    def closed(self) -> bool:
        """Nothing will be released any more."""
        return self.outcome is Outcome.BLOCKED or (self.outcome is Outcome.UNSCANNED and not self.policy.fails_open)

    def take(self, piece: str) -> str:
        """What is released by the next *piece*."""
        return "".join(self._step(piece[at : at + SLICE]) for at in range(0, len(piece), SLICE))

    def finish(self) -> str:
        """What is released at the end of the text."""
        return self._step(None)

    def moved(self, position: int) -> int:
        """Where that offset of the text taken is in the text released."""
        return position + sum(growth for end, growth in self.edits if end <= position)

    def _step(self, piece: str | None) -> str:
        if not self.policy.actions or (self.outcome is Outcome.UNSCANNED and self.policy.fails_open):
            return piece or ""
        if self.closed:
            return ""
        held, began = self._scanner.held + self._watch.held + (piece or ""), self.monotonic()
        try:
            shown = "".join(map(self._shown, self._parts(piece)))
        except Exception as error:  # whatever goes wrong in a guard must not take the answer with it
            return self._give_up(held, type(error).__name__)
        self.seconds += self.monotonic() - began
        if self.seconds > self.policy.seconds:
            return self._give_up(held, "TimeoutError")
        return shown

    def _parts(self, piece: str | None) -> Iterator[Part]:
        """What is settled by *piece*, or by the end of the text."""
        final = piece is None
        watched = self._watch.take(piece or "", final=final) if self.policy.topics else [Part(piece or "")]
        for part in watched:
            yield from [*self._scanner.finish(), part] if part.kind else self._scanner.take(part.text)
        if final:
            yield from self._scanner.finish()

    def _give_up(self, held: str, reason: str) -> str:
        log.warning("guard_gave_up", reason=reason, fails_open=self.policy.fails_open)
        self.outcome = Outcome.UNSCANNED
        return held if self.policy.fails_open else ""

    def _shown(self, part: Part) -> str:
        if self.closed:
            return ""
        start, self._read = self._read, self._read + len(part.text)
        action = self.policy.actions.get(part.kind, Action.PASS) if part.kind else Action.PASS
        if part.kind is None or action is Action.PASS:
            return part.text
        if part.goes_on:
            start = self.findings.pop().start
        self.findings.append(Finding(part.kind, start, self._read))
        return self._changed(part, part.kind, action)

    def _changed(self, part: Part, kind: Kind, action: Action) -> str:
        if action is Action.MARK or (action is Action.REDACT and self.excused(kind, part.text)):
            return part.text
        if action is Action.BLOCK:
            self.outcome = Outcome.BLOCKED
            return ""
        self.outcome = Outcome.CHANGED
        shown = "" if part.goes_on else placeholder(kind)
        self.edits.append((self._read, len(shown) - len(part.text)))
        return shown


def placeholder(kind: Kind) -> str:
    """What stands where something was redacted."""
    return "" if kind is Kind.INVISIBLE else f"[{kind.value}]"
