"""Logistic regression on hashed n-grams, with weights for the examples and a penalty on the squares of the weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from plumbline_guards.injection import Linear
from plumbline_guards.ngrams import BUCKETS, Buckets

PENALTY: Final = 1.0
ITERATIONS: Final = 40
SEEN_IN: Final = 2
"""Texts; a bucket of fewer weighs nothing."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text to learn from."""

    found: Buckets
    is_attack: bool
    weight: float
    fold: int
    """Examples that are alike are of one fold."""
    group: str


def fit(examples: Sequence[Example]) -> Linear:
    """The line that tells attacks from the rest. Attacks together weigh as much as all the others do."""
    columns, rows = _matrix(examples)
    signs = np.array([1.0 if one.is_attack else -1.0 for one in examples])
    weights = _balanced(examples)
    transposed = rows.T.tocsr()

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (rows @ values[:-1] + values[-1])
        slopes = -signs * weights / (1 + np.exp(np.minimum(margins, 50)))
        gradient = np.append(transposed @ slopes + PENALTY * values[:-1], slopes.sum())
        return float(weights @ np.logaddexp(0, -margins) + PENALTY / 2 * values[:-1] @ values[:-1]), gradient

    start = np.zeros(len(columns) + 1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
    table = np.zeros(BUCKETS, np.float32)
    table[columns] = found[:-1]
    return Linear(table, float(found[-1]))


def _matrix(examples: Sequence[Example]) -> tuple[Buckets, Any]:
    """The buckets that count, and the examples over them, each row of length 1."""
    found = np.concatenate([one.found for one in examples])
    sizes = [len(one.found) for one in examples]
    values = np.repeat([1 / np.sqrt(max(1, size)) for size in sizes], sizes)
    rows = sparse.csr_matrix((values, found, np.cumsum([0, *sizes])), (len(examples), BUCKETS))
    columns: Buckets = np.flatnonzero(np.bincount(found, minlength=BUCKETS) >= SEEN_IN)
    return columns, rows[:, columns]


def _balanced(examples: Sequence[Example]) -> NDArray[np.float64]:
    """The examples' weights, half of their sum with the attacks, and on average 1."""
    weights = np.array([one.weight for one in examples])
    attacks = np.array([one.is_attack for one in examples])
    sums = np.where(attacks, weights[attacks].sum(), weights[~attacks].sum())
    balanced: NDArray[np.float64] = weights / sums * len(examples) / 2
    return balanced
