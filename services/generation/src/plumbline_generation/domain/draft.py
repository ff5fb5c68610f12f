"""What is kept of a text when the model has ended, or has been ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_generation.domain.answer import Answer, Outcome, Passage
from plumbline_generation.domain.citations import cite
from plumbline_generation.domain.extract import extract
from plumbline_generation.domain.markers import Mark
from plumbline_generation.domain.refusal import MODEL_DOES_NOT_KNOW
from plumbline_models.abstention import says_it_does_not_know
from plumbline_models.text import sentences

EMPTY: Final = "the model wrote nothing"

# A full stop after a digit may be the point of a number that was cut in two.
_ENDS: Final = re.compile(r"(?:[!?\u2026\u3002]|(?<!\d)\.)[\"'\u2019\u201d\u00bb)\]]*$")


@dataclass(frozen=True, slots=True)
class Draft:
    """A text on its way to an answer."""

    text: str
    marks: tuple[Mark, ...] = ()
    outcome: Outcome = Outcome.ANSWERED
    by_model: bool = True
    reason: str = ""

    def answer(self, sources: Sequence[Passage], minimum_support: float) -> Answer:
        """The text with its claims; a refusal claims nothing."""
        refused = self.outcome is Outcome.REFUSED
        claims = () if refused else cite(self.text, self.marks, sources, minimum_support)
        return Answer(self.text, claims, tuple(sources), self.outcome)


def settle(text: str, marks: Sequence[Mark], *, ended_itself: bool) -> Draft:
    """What the model wrote, without the sentence that a limit of tokens cut off, if there is another."""
    if says_it_does_not_know(text):
        return Draft(text, outcome=Outcome.REFUSED, reason=MODEL_DOES_NOT_KNOW)
    kept = text if ended_itself else complete_sentences(text) or text
    return Draft(kept, tuple(marks))


def rescue(text: str, marks: Sequence[Mark], reason: str, question: str, passages: Sequence[Passage]) -> Draft:
    """What is left when the model fails: its complete sentences if there are any, else an extract of *passages*."""
    kept = complete_sentences(text)
    if kept:
        return Draft(kept, tuple(marks), Outcome.DEGRADED, reason=reason)
    return Draft(extract(question, passages), (), Outcome.DEGRADED, by_model=False, reason=reason)


def complete_sentences(text: str) -> str:
    """*text* up to the end of its last complete sentence; empty if none is."""
    spans = sentences(text)
    if spans and not _ENDS.search(spans[-1].of(text)):
        spans.pop()
    return text[: spans[-1].end] if spans else ""
