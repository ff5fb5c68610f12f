"""Scores and the verdict that follows from them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from plumbline_evaluation.domain.answer import Subject


class Label(Enum):
    """What a score means for the answer."""

    PASS = "pass"
    FAIL = "fail"
    NOT_MEASURED = "not_measured"


class Verdict(Enum):
    """What all scores mean together."""

    PASSED = "passed"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of one answer."""

    name: str
    evaluator_version: str
    value: float
    """In [0, 1], higher is better; 0 and without meaning when not measured."""
    label: Label
    explanation: str
    """One sentence that quotes neither question, answer nor source."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A named way to score, and the least value that passes."""

    name: str
    version: str
    """Changes with anything that changes figures."""
    minimum: float

    def measured(self, value: float, explanation: str) -> Score:
        """The score of *value*, cut to [0, 1]. What is not a number was not measured: neither a pass nor a zero."""
        if not math.isfinite(value):
            return self.not_measured("the measure gave no number")
        value = min(max(value, 0.0), 1.0)
        label = Label.PASS if value >= self.minimum else Label.FAIL
        return Score(self.name, self.version, value, label, f"{explanation}; {self.minimum:g} passes")

    def not_measured(self, reason: str) -> Score:
        """The score where there is nothing to measure, or no way to."""
        return Score(self.name, self.version, 0.0, Label.NOT_MEASURED, reason)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every score of one answer. An answer passes only when every measure was taken and passed."""

    scores: tuple[Score, ...]
    time: datetime

    @property
    def verdict(self) -> Verdict:
        """FAILED with any failure; else NEEDS_REVIEW with anything not measured; else PASSED."""
        return verdict_of(score.label for score in self.scores)


@dataclass(frozen=True, slots=True)
class CompletedEvaluation:
    """An evaluation and the answer it is of."""

    id: str
    """The same for every evaluation of this answer by these evaluators."""
    subject: Subject
    evaluation: Evaluation


def verdict_of(labels: Iterable[Label]) -> Verdict:
    """See `Evaluation.verdict`. Without any score there is nothing that passed."""
    found = set(labels)
    if Label.FAIL in found:
        return Verdict.FAILED
    return Verdict.PASSED if found == {Label.PASS} else Verdict.NEEDS_REVIEW
