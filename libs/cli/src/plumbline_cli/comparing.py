"""Compares what two indexes find for the same questions, and says how sure the difference is."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from plumbline_cli.problems import Problem

DEPTH: Final = 10
"""Documents of an answer that count."""
SHOWN: Final = 10
RESAMPLES: Final = 2_000
LEAST_QUESTIONS: Final = 2
UNSEEN: Final = 3
"""What none of n questions shows may still happen to 3 of n others (95 %; Hanley and Lippman-Hand, 1983)."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the documents that answer it."""

    text: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of both indexes, in [0, 1], and their paired difference with its 95 % interval.

    The interval is that of the BCa bootstrap, and at least what the number of questions leaves open.
    """

    measure: str
    before: float
    after: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a set of questions says of two indexes."""

    questions: int
    differences: tuple[Difference, ...]
    won: tuple[str, ...]
    lost: tuple[str, ...]
    """Questions that gained most and lost most by nDCG@10, most first."""
    milliseconds: tuple[float, float]
    """Median of a search, before and after."""

    def loses_at_most(self, margin: float) -> bool:
        """Whether nDCG@10 is shown to fall by no more than *margin*: the interval of the difference lies above."""
        return self.differences[-1].low >= -margin

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer of an index: documents, best first, each once, and how long it took."""

    documents: Sequence[str]
    milliseconds: float


def read_questions(path: Path) -> list[Question]:
    """A line a question: `{"question": "...", "relevant": ["document id", ...]}`. Raises `Problem` with the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read: {error}") from error
    questions = [_question(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(questions) < LEAST_QUESTIONS:
        raise Problem(
            f"{path} holds {len(questions)} questions: at least {LEAST_QUESTIONS} are needed, 100 say something"
        )
    return questions


def compare(questions: Sequence[Question], before: Sequence[Found], after: Sequence[Found]) -> Comparison:
    """What *before* and *after*, one answer a question, say of the two.

    Raises `Problem` where neither found any document that is named: the ids are wrong, or not the caller's to see.
    """
    if not any(
        question.relevant & {*now.documents, *then.documents}
        for question, now, then in zip(questions, before, after, strict=True)
    ):
        raise Problem("neither index found any of the relevant documents: are their ids right, and yours to see?")
    differences = []
    for name, measure in MEASURES.items():
        first, second = (
            [measure(found.documents, question.relevant) for question, found in zip(questions, answers, strict=True)]
            for answers in (before, after)
        )
        differences.append(_difference(name, first, second))
    # The last measure, nDCG@10, orders the questions: what was won and lost is what people look at.
    gains = sorted((then - now, question.text) for question, now, then in zip(questions, first, second, strict=True))
    return Comparison(
        questions=len(questions),
        differences=tuple(differences),
        won=tuple(text for gain, text in gains[::-1][:SHOWN] if gain > 0),
        lost=tuple(text for gain, text in gains[:SHOWN] if gain < 0),
        milliseconds=(median(each.milliseconds for each in before), median(each.milliseconds for each in after)),
    )


def hit(documents: Sequence[str], relevant: frozenset[str], depth: int) -> float:
    """1 if one of the first *depth* is relevant, else 0."""
    return float(not relevant.isdisjoint(documents[:depth]))


def ndcg(documents: Sequence[str], relevant: frozenset[str]) -> float:
    """Normalised discounted cumulative gain of the first 10, relevance 0 or 1 (Järvelin and Kekäläinen, 2002)."""
    gain = sum(1 / math.log2(rank + 2) for rank, name in enumerate(documents[:DEPTH]) if name in relevant)
    best = sum(1 / math.log2(rank + 2) for rank in range(min(len(relevant), DEPTH)))
    return gain / best


MEASURES: Final[Mapping[str, Callable[[Sequence[str], frozenset[str]], float]]] = {
    "hit@1": partial(hit, depth=1),
    "hit@5": partial(hit, depth=5),
    f"nDCG@{DEPTH}": ndcg,
}


def _difference(measure: str, before: Sequence[float], after: Sequence[float]) -> Difference:
    steps = [second - first for first, second in zip(before, after, strict=True)]
    gain, unseen = mean(steps), min(1.0, UNSEEN / len(steps))
    low, high = _bootstrapped(steps)
    return Difference(
        measure, mean(before), mean(after), max(-1.0, min(low, gain - unseen)), min(1.0, max(high, gain + unseen))
    )


def _bootstrapped(steps: Sequence[float]) -> tuple[float, float]:
    if len(set(steps)) == 1:  # nothing to draw from
        return steps[0], steps[0]
    from scipy import stats  # half a second that the other commands need not wait

    interval = stats.bootstrap((steps,), _mean, n_resamples=RESAMPLES, rng=0).confidence_interval
    return float(interval.low), float(interval.high)


def _mean(values: Any, axis: int = -1) -> Any:
    return values.mean(axis=axis)


def _question(path: Path, number: int, line: str) -> Question:
    try:
        content = json.loads(line)
        text, relevant = content["question"], content["relevant"]
        if not (isinstance(text, str) and text.strip() and isinstance(relevant, list) and relevant):
            raise ValueError("question must be a text and relevant a list of document ids")
        return Question(text, frozenset(map(str, relevant)))
    except (ValueError, KeyError, TypeError) as error:
        wanted = '{"question": "...", "relevant": ["document id", ...]}'
        raise Problem(f"{path}, line {number}: {error}; a line is {wanted}") from error
