"""How sure it is that two questions ask the same where no check differs: a logistic regression on a few measures.

Its weights lie in `certainty.json`; `make train-sameness` writes them, and docs/decisions/0021-sameness.md says how
well they do.
"""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

from plumbline_cache.domain.sameness.checks import only
from plumbline_cache.domain.sameness.reading import Reading

WEIGHTS_FILE: Final = "certainty.json"

NEAREST: Final = 1.02
"""From here distances are taken, so that the int8 encoder's own noise at a cosine of 1 tells nothing."""


def measures(a: Reading, b: Reading, similarity: float) -> dict[str, float]:
    """What the weights look at, by name. *similarity* is the cosine of both questions, in [-1, 1]."""
    more = len(only(a.words, b.words)) + len(only(b.words, a.words))
    return {
        "near": -math.log(NEAREST - min(1.0, similarity)),
        "more": float(more),
        "disorder": float(
            [word for word in a.words if word in b.words] != [word for word in b.words if word in a.words]
        ),
        "length": math.log1p(min(len(a.words), len(b.words))),
    }


def certainty(a: Reading, b: Reading, similarity: float) -> float:
    """In [0, 1]."""
    weights = _weights()
    logit = weights["bias"] + sum(weights[name] * value for name, value in measures(a, b, similarity).items())
    return 0.5 + 0.5 * math.tanh(logit / 2)  # the logistic function in a form that never overflows


@lru_cache(maxsize=1)
def _weights() -> Mapping[str, float]:
    content = (resources.files(__package__) / WEIGHTS_FILE).read_text(encoding="utf-8")
    return {name: float(value) for name, value in json.loads(content).items()}
