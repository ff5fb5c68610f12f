"""Figures of a benchmark: printed as a table, kept as `out/<target>.json`, with intervals where they are shares."""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

OUT = Path("out")
PLACES = 3
RESAMPLES = 2_000
NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. *low* and *high* bound it with 95 % confidence where that is known."""

    name: str
    value: float | None
    """None where it was not run."""
    low: float | None = None
    high: float | None = None
    baseline: str | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def share(name: str, outcomes: Sequence[bool], *, known: float | None = None) -> Figure:
    """A rate with its Wilson interval, beside the value *known* for a plain method on the same questions."""
    low, high = stats.binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="wilson")
    return _beside(Figure(name, sum(outcomes) / len(outcomes), float(low), float(high)), known)


def mean(name: str, values: Sequence[float], *, known: float | None = None) -> Figure:
    """A mean with its BCa bootstrap interval, beside the value *known* as above."""
    interval = stats.bootstrap((np.asarray(values),), np.mean, n_resamples=RESAMPLES, rng=0).confidence_interval
    return _beside(Figure(name, float(np.mean(values)), float(interval.low), float(interval.high)), known)


def gain(
    name: str, values: Sequence[float], baseline: Sequence[float], of: str, *, least: float | None = None
) -> Figure:
    """The mean difference to *baseline* on the same questions, beside the *least* that is wanted."""
    gains = np.subtract(values, baseline)
    figure = mean(name, gains.tolist()) if np.ptp(gains) else Figure(name, float(gains[0]))
    if least is None or figure.value is None:
        return replace(figure, baseline=of)
    return replace(figure, baseline=of, goal=f">= {least}", met=figure.value >= least)


def roc_area(name: str, positive: Sequence[float], negative: Sequence[float], *, known: float | None = None) -> Figure:
    """The area under the ROC curve of scores, by ranks (Mann and Whitney, 1947), with its bootstrap interval."""

    def area(first: np.ndarray, second: np.ndarray) -> float:
        return float(stats.mannwhitneyu(first, second).statistic) / (len(first) * len(second))

    draw = np.random.default_rng(0)
    samples = [
        area(draw.choice(positive, len(positive)), draw.choice(negative, len(negative))) for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(samples, [2.5, 97.5])
    return _beside(Figure(name, area(np.asarray(positive), np.asarray(negative)), float(low), float(high)), known)


def at_least(name: str, value: float | None, goal: float, baseline: str | None = None) -> Figure:
    """A value that must not be below *goal*, or that was not run."""
    return Figure(name, value, baseline=baseline, goal=f">= {goal}", met=None if value is None else value >= goal)


def _beside(figure: Figure, known: float | None) -> Figure:
    if known is None or figure.value is None:
        return figure
    met = round(figure.value, PLACES) >= known  # which is rounded too
    return Figure(figure.name, figure.value, figure.low, figure.high, goal=f">= {known}", met=met)


def timings(name: str, seconds: Sequence[float], baseline: Sequence[float] | None = None, of: str = "") -> list[Figure]:
    """The median and the 99th percentile in milliseconds, as ratios to the same percentile of *baseline*."""
    figures = []
    for percent in (50, 99):
        value = float(np.percentile(seconds, percent))
        ratio = value / float(np.percentile(baseline, percent)) if baseline else None
        label = f"{of}_p{percent}_ms" if baseline else None
        figures.append(Figure(f"{name}_p{percent}_ms", value * 1e3, baseline=label, ratio=ratio))
    return figures


def ndcg(ranked: Sequence[int], relevant: dict[int, int], k: int = 10) -> float:
    """Normalised discounted cumulative gain with gains 2^grade - 1 (Burges et al., 2005)."""

    def gain(grades: Sequence[int]) -> float:
        return float(sum((2**grade - 1) / math.log2(rank + 2) for rank, grade in enumerate(grades[:k])))

    ideal = gain(sorted(relevant.values(), reverse=True))
    return gain([relevant.get(number, 0) for number in ranked]) / ideal if ideal else 0.0


def report(target: str, figures: Sequence[Figure]) -> None:
    """Print *figures* and keep them where `make results` finds them."""
    console = Console() if sys.stdout.isatty() else Console(width=120)
    table = Table("figure", "value", "95 %", "ratio", "baseline", "goal", "met", title=target)
    for figure in figures:
        table.add_row(figure.name, _number(figure.value), *_rest(figure))
    console.print(table)
    OUT.mkdir(exist_ok=True)
    (OUT / f"{target}.json").write_text(json.dumps(_document(target, figures), indent=2) + "\n", encoding="utf-8")


def _rest(figure: Figure) -> tuple[str, ...]:
    interval = "" if figure.low is None or figure.high is None else f"{_number(figure.low)} to {_number(figure.high)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    met = {None: "", True: "yes", False: "no"}[figure.met]
    return interval, ratio, figure.baseline or "", figure.goal or "", met


def _number(value: float | None) -> str:
    if value is None:
        return NOT_RUN
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _document(target: str, figures: Sequence[Figure]) -> dict[str, object]:
    return {
        "target": target,
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "figures": [{key: value for key, value in asdict(figure).items() if value is not None} for figure in figures],
    }


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
