"""A model's text on its way out, sentence by sentence: checked against the passages before it counts as supported."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_generation.domain.answer import Claim, ClaimStatus, GroundingRecord
from plumbline_generation.domain.citations import Checker
from plumbline_generation.domain.draft import is_complete, moved_to
from plumbline_generation.domain.guarding import GuardedText
from plumbline_kit.release import GuardSettings, Unchecked, Unsupported
from plumbline_models.abstention import says_it_does_not_know
from plumbline_models.checking import CODE, MAX_SENTENCE, next_sentence
from plumbline_models.text import Span, may_end

_MAY_BELONG: Final = re.compile(r"\[\d*")
"""What follows a sentence and may yet turn out to be a part of it."""


@dataclass(frozen=True, slots=True)
class _Lead:
    """A sentence that waits for the next one, and the white space before it."""

    gap: str
    claim: Claim


class GroundedText:
    """Releases text and claims. Whatever the pieces, the same text gives the same answer.

    Where unsupported sentences are marked, text leaves at once, and a claim follows each sentence. Where they are
    withheld, a sentence leaves when it is complete and checked, its claim after it; one that claims nothing,
    such as a heading, stands or falls with the next one. A claim's offsets are those of the released text.
    """

    def __init__(self, guarded: GuardedText, checker: Checker, settings: GuardSettings) -> None:
        self.guarded = guarded
        self.shown = ""
        """What was released."""
        self.claims: list[Claim] = []
        self.withheld = 0
        self.refuses = False
        """The model says that it does not know."""
        self._checker = checker
        self._settings = settings
        self._counts: Counter[ClaimStatus] = Counter()
        self._leads: list[_Lead] = []
        self._settled = 0
        self._cut = False

    @property
    def closed(self) -> bool:
        """The guards let nothing out any more."""
        return self.guarded.window.closed

    @property
    def kept(self) -> str:
        """What was released, without a sentence at its end that was cut off."""
        return self.shown if not self._cut else self.shown[: self.claims[-1].end] if self.claims else ""

    @property
    def sentences(self) -> int:
        """How many the model wrote, so far as they are settled."""
        return self._counts.total()

    @property
    def record(self) -> GroundingRecord | None:
        """None where there was no sentence."""
        policy = self._settings.unsupported
        return GroundingRecord(policy, self._counts.copy(), self.withheld) if self._counts else None

    def take(self, piece: str) -> list[str | Claim]:
        """What is released by the next *piece* of the model's text."""
        released = self.guarded.take(piece)
        events = self._shown(released)
        while released and self._may_be_over() and (span := self._next()) and self._is_over(span):
            events += self._settle(span)
        return _together(events)

    def finish(self, *, ended_itself: bool, failed: bool = False) -> list[str | Claim]:
        """What is released at the end. A last sentence that was cut off only stands if no failure cut it and it is all.

        After the guards have closed the window nothing more is.
        """
        events = self._shown(self.guarded.finish())
        if self.closed:
            return events
        while span := self._next():
            last = span.end == len(self.guarded.text.rstrip())
            if last and not self._stands(span, ended_itself=ended_itself, failed=failed):
                self._cut = True
                break
            events += self._settle(span)
        self._drop_leads()
        return _together(events)

    @property
    def _holds(self) -> bool:
        return self._settings.unsupported is not Unsupported.MARK

    def _shown(self, text: str) -> list[str | Claim]:
        if self._holds or not text:
            return []
        self.shown += text
        return [text]

    def _may_be_over(self) -> bool:
        """Whether it is worth a closer look: with most tokens nothing ends."""
        text = self.guarded.text
        return may_end(text, self._settled) or CODE in text or len(text) - self._settled > MAX_SENTENCE

    def _next(self) -> Span | None:
        """The first sentence that is not settled."""
        return next_sentence(self.guarded.text, self._settled)

    def _is_over(self, span: Span) -> bool:
        """Whether another sentence has begun, so that nothing that follows can belong to this one."""
        following = self.guarded.text[span.end :].lstrip()
        return bool(following) and not _MAY_BELONG.fullmatch(following)

    def _stands(self, span: Span, *, ended_itself: bool, failed: bool) -> bool:
        complete = is_complete(span.of(self.guarded.text))
        return complete or (not failed and (ended_itself or not self._settled))

    def _settle(self, span: Span) -> list[str | Claim]:
        text = self.guarded.text
        claim = self._checker.check(text, span, self._marked(span))
        lead = _Lead(text[self._settled : span.start], claim)
        self._settled = span.end
        self._counts[claim.status] += 1
        self.refuses = self.refuses or says_it_does_not_know(text[: span.end])
        return self._held(lead) if self._holds else self._told(claim)

    def _marked(self, span: Span) -> list[int]:
        """The numbers that the model marked: behind the sentence's beginning, up to that of the next one."""
        text, first = self.guarded.text, not self._counts
        following = text[span.end :].lstrip()
        until = len(text) - len(following) if following else sys.maxsize
        return [
            mark.number
            for mark in self.guarded.marks
            if mark.position <= until and (first or mark.position > span.start)
        ]

    def _told(self, claim: Claim) -> list[str | Claim]:
        self.claims.append(claim)
        return [] if self.refuses else [claim]

    def _held(self, lead: _Lead) -> list[str | Claim]:
        self._leads.append(lead)
        if lead.claim.status is ClaimStatus.NO_CLAIM and not self.refuses:
            return []
        if self.refuses or not self._may_leave(lead.claim.status):
            self._drop_leads()
            return []
        leads, self._leads = self._leads, []
        return [event for lead in leads for event in self._release(lead)]

    def _may_leave(self, status: ClaimStatus) -> bool:
        if status is ClaimStatus.NOT_CHECKED:
            return self._settings.unchecked is Unchecked.SHOW
        return status is not ClaimStatus.UNSUPPORTED

    def _release(self, lead: _Lead) -> list[str | Claim]:
        gap = lead.gap if self.shown else ""
        claim = moved_to(lead.claim, len(self.shown) + len(gap))
        text = gap + self.guarded.text[lead.claim.start : lead.claim.end]
        self.shown += text
        self.claims.append(claim)
        return [text, claim]

    def _drop_leads(self) -> None:
        self.withheld += len(self._leads)
        self._leads.clear()


def _together(events: Sequence[str | Claim]) -> list[str | Claim]:
    """What is released in one moment as one text, its claims behind it: each event is a message of its own."""
    text = "".join(event for event in events if isinstance(event, str))
    return [*([text] if text else []), *(event for event in events if not isinstance(event, str))]
