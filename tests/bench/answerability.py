"""Whether it is known beforehand that passages hold no answer: chosen on half of the questions, measured on the other.

With `--train` the weights are chosen anew on the half that is not held out, and written where the library reads them.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from plumbline_models import answerability
from plumbline_models.answerability import PASSAGES, Read, Weights, measures
from plumbline_models.support import question_support
from tests.bench import figures
from tests.bench.asked import Found, find, questions
from tests.bench.figures import Figure
from tests.bench.platform import running
from tests.bench.pooled import load
from tests.bench.settings import BenchSettings

SETS: Final = ("clapnq", "mtrag")
TRAINED_ON: Final = (*SETS, "xquad")
SEARCHED: Final = 12
"""Passages a search: enough are left when those that hold the answer are taken away."""
MINIMA: Final = (0.25, 0.5)
"""What a release may ask for: the first refuses few good questions, the second about as many bad ones as it answers."""
GOAL: Final = 0.8
SHRINKAGE: Final = 3.0
"""Of the weights (L2), over measures of variance 1."""
MEASURES: Final = {
    "words": ("held_by_text", "held_by_window", "held_by_lead", "pairs", "density", "length"),
    "meaning": ("first", "nearest", "held_by_text", "held_by_window", "pairs", "length"),
}
NEWTON_STEPS: Final = 30
ROUNDS: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its passages, measured."""

    set: str
    held_out: bool
    answered: bool
    """Whether there is an answer to it: of training rows, whether the passages hold it."""
    measures: dict[str, float]
    counted: float
    """The share of the question's words that a passage holds: what refused before."""


async def main(*, train: bool) -> None:
    """Run on a platform of its own in a temporary folder; `PLUMBLINE_DATA` names the data."""
    data, console = BenchSettings.from_env().data, Console(stderr=True)
    pool = load(data)
    async with running(["kafka", "retrieval"]) as bench:
        found = await find(bench, pool, questions(data, pool), SEARCHED, console)
    if train:
        _write(_trained(found, TRAINED_ON))
    figures.report("eval-answerability", [*_quality(found), *_cost(found)])


def _row(found: Found, *, answered: bool) -> Row:
    asked, best = found.asked, found.first(PASSAGES)
    counted = question_support(asked.question, [passage.evidence for passage in best.passages])
    return Row(asked.set, asked.is_held_out, answered, measures(asked.question, _reads(best)), counted)


def _reads(found: Found) -> list[Read]:
    return [Read(passage.title, passage.text, passage.similarity) for passage in found.passages]


def _trained(found: Sequence[Found], sets: Sequence[str]) -> dict[str, Weights]:
    """Chosen on the questions of *sets* that are not held out, those with an answer once more without it.

    That is the best of the other passages then, which are about the same things. Questions whose answer was not found
    are left out.
    """
    chosen_on = [each for each in found if not each.asked.is_held_out and each.asked.set in sets]
    rows = [_row(each, answered=each.asked.answerable) for each in chosen_on if _is_fair(each)]
    without = [each.without_gold(PASSAGES) for each in chosen_on if each.asked.answerable]
    rows += [_row(each, answered=False) for each in without if each.passages]
    return {name: _fitted(rows, names) for name, names in MEASURES.items()}


def _is_fair(found: Found) -> bool:
    return not found.asked.answerable or found.first(PASSAGES).holds_gold


def _fitted(rows: Sequence[Row], names: Sequence[str]) -> Weights:
    """Logistic regression by Newton's method; answered and unanswered questions of each set count the same in all."""
    values = np.array([[row.measures[name] for name in names] for row in rows])
    outcomes = np.array([row.answered for row in rows], float)
    groups = [(row.set, row.answered) for row in rows]
    counts = np.array([len(rows) / len(set(groups)) / groups.count(group) for group in groups])
    mean, spread = values.mean(0), values.std(0)
    inputs = np.column_stack([np.ones(len(rows)), (values - mean) / spread])
    shrinkage = np.diag([0.0] + [SHRINKAGE] * len(names))
    chosen: NDArray[np.float64] = np.zeros(inputs.shape[1])
    for _ in range(NEWTON_STEPS):
        likely = 1 / (1 + np.exp(-inputs @ chosen))
        slope = inputs.T @ (counts * (outcomes - likely)) - shrinkage @ chosen
        bend = (inputs * (counts * likely * (1 - likely))[:, None]).T @ inputs + shrinkage
        chosen = chosen + np.linalg.solve(bend, slope)
    weights = chosen[1:] / spread
    return Weights(float(chosen[0] - weights @ mean), dict(zip(names, weights.tolist(), strict=True)))


def _write(weights: dict[str, Weights]) -> None:
    content = {
        name: {"bias": round(one.bias, 4), "weights": {key: round(value, 4) for key, value in one.weights.items()}}
        for name, one in weights.items()
    }
    path = Path(answerability.__file__).with_name(answerability.WEIGHTS_FILE)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _quality(found: Sequence[Found]) -> Iterator[Figure]:
    """On the held-out halves: how well questions are ordered, and who is refused at the release's minimum."""
    own = _trained(found, TRAINED_ON)
    for name in SETS:
        asked = [each for each in found if each.asked.set == name and each.asked.is_held_out]
        rows = [_row(each, answered=each.asked.answerable) for each in asked]
        fair = [each for each in asked if each.asked.answerable]
        yield figures.share(f"{name}: the answer is among the {PASSAGES} passages", [_is_fair(each) for each in fair])
        yield _area(f"{name}, shared words", rows, [row.counted for row in rows])
        for kind in MEASURES:
            likely = [own[kind].probability(row.measures) for row in rows]
            yield _area(f"{name}, {kind}", rows, likely)
            for minimum in MINIMA:
                yield from _at(f"{name}, {kind}, at {minimum}", rows, likely, minimum)
            yield _balanced(f"{name}, {kind}", rows, likely)
        yield from _crossed(found, name, rows)


def _crossed(found: Sequence[Found], name: str, rows: Sequence[Row]) -> Iterator[Figure]:
    """Weights chosen without this set."""
    others = [each for each in TRAINED_ON if each != name]
    weights = _trained(found, others)["meaning"]
    likely = [weights.probability(row.measures) for row in rows]
    yield _area(f"{name}, chosen on {' and '.join(others)}", rows, likely)


def _area(name: str, rows: Sequence[Row], scores: Sequence[float]) -> Figure:
    of = {
        kind: [score for row, score in zip(rows, scores, strict=True) if row.answered is kind] for kind in (True, False)
    }
    return figures.roc_area(f"{name}: AUROC", of[True], of[False])


def _at(name: str, rows: Sequence[Row], likely: Sequence[float], minimum: float) -> Iterator[Figure]:
    told = list(zip(rows, likely, strict=True))
    answered = [score >= minimum for row, score in told if row.answered]
    refused = [score < minimum for row, score in told if not row.answered]
    yield figures.share(f"{name}: unanswerable refused", refused, known=GOAL)
    yield figures.share(f"{name}: answerable answered", answered, known=GOAL)


def _balanced(name: str, rows: Sequence[Row], likely: Sequence[float]) -> Figure:
    """The most of both at once that any minimum reaches on these very rows: what is possible, not what is promised."""
    told = list(zip(rows, likely, strict=True))
    answered = np.array([score for row, score in told if row.answered])
    others = np.array([score for row, score in told if not row.answered])
    reached = max(min(float((answered >= at).mean()), float((others < at).mean())) for at in likely)
    return Figure(f"{name}: both shares at the best minimum", reached)


def _cost(found: Sequence[Found]) -> Iterator[Figure]:
    """In microseconds a question: over passages that were seen before, and over new ones."""
    drawn, first, later = found[:: max(1, len(found) // ROUNDS)], list[float](), list[float]()
    for number, each in enumerate(drawn):
        reads = [Read(read.title, f"{read.text} {number}", read.similarity) for read in _reads(each.first(PASSAGES))]
        for spent in (first, later):
            began = time.perf_counter()
            answerability.answerability(each.asked.question, reads)
            spent.append(time.perf_counter() - began)
    yield Figure("answerability_us_over_new_passages", float(np.median(first)) * 1e6)
    yield Figure("answerability_us", float(np.median(later)) * 1e6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="choose the weights anew and write them")
    asyncio.run(main(train=parser.parse_args().train))
