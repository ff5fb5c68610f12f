"""A detector of injections and jailbreaks that was trained in this repository: a line through hashed n-grams."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plumbline_guards.ngrams import Buckets, ngrams, ngrams_of
from plumbline_guards.readings import readings
from plumbline_guards.windows import windows

MODEL_FILE: Final = "injection.npz"
VERSION: Final = 1
"""Of what the file's numbers mean; it changes with `ngrams`."""
MAX_WEIGHT: Final = 127


@dataclass(frozen=True, slots=True)
class Linear:
    """A logistic regression over the n-grams of a text. Its margin is 0 at the operating point."""

    weights: NDArray[np.float32]
    """One a bucket."""
    bias: float

    def margin(self, found: Buckets) -> float:
        """How far a text with these n-grams is beyond the operating point, in units of the logit."""
        return float(self.weights[found].sum()) / math.sqrt(max(1, len(found))) + self.bias

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """`margin` of each of *texts*."""
        found, count = ngrams_of(texts), len(texts)
        sums = np.bincount(found.texts, self.weights[found.buckets], count)
        return sums / np.sqrt(np.maximum(1, np.bincount(found.texts, minlength=count))) + self.bias


@dataclass(frozen=True, slots=True)
class InjectionDetector:
    """`Detector`. Safe from several threads: nothing changes."""

    questions: Linear
    sentences: Linear
    tail: float
    """Of the margins of harmless sentences, the rate at which their share falls: an exponential's."""

    @classmethod
    def load(cls) -> "InjectionDetector":
        """The one that is shipped. Raises `ValueError` for a file of another version."""
        with files(__package__).joinpath(MODEL_FILE).open("rb") as file, np.load(file, allow_pickle=False) as content:
            if int(content["version"]) != VERSION:
                raise ValueError(
                    f"{MODEL_FILE} is of version {content['version']}, not {VERSION}: run `make train-guards`"
                )
            lines = [
                Linear(
                    content[f"{name}_weights"].astype(np.float32) * content[f"{name}_scale"],
                    float(content[f"{name}_bias"]),
                )
                for name in ("questions", "sentences")
            ]
            return cls(lines[0], lines[1], float(content["tail"]))

    def save(self, path: Path) -> None:
        """Write it, a byte a weight; what `load` reads scores nearly the same."""
        arrays: dict[str, NDArray[np.generic]] = {"version": np.array(VERSION), "tail": np.array(self.tail)}
        for name, line in (("questions", self.questions), ("sentences", self.sentences)):
            scale = float(np.abs(line.weights).max()) / MAX_WEIGHT or 1.0
            arrays[f"{name}_weights"] = np.round(line.weights / scale).astype(np.int8)
            arrays[f"{name}_scale"] = np.array(scale, np.float32)
            arrays[f"{name}_bias"] = np.array(line.bias)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """See `Detector`. Of the readings of a text the worst counts."""
        return [_chance(max(self.questions.margin(ngrams(one)) for one in readings(text))) for text in texts]

    def document_scores(self, texts: Sequence[str]) -> list[float]:
        """See `Detector`. Of the sentences of a text the worst counts, less what the worst of so many is by chance."""
        return [_chance(self.tail * margin) for margin in self.document_margins(texts)]

    def document_margin(self, text: str) -> float:
        """How far a document is beyond the operating point. The longer it is, the more its worst sentence must be."""
        return self.document_margins([text])[0]

    def document_margins(self, texts: Sequence[str]) -> list[float]:
        """`document_margin` of each of *texts*."""
        if not texts:
            return []
        read = [[windows(reading) for reading in readings(text)] for text in texts]
        documents = [list(chain.from_iterable(pieces)) for pieces in read]
        margins = self.sentences.margins(list(chain.from_iterable(documents)))
        ends = np.cumsum([len(pieces) for pieces in documents])[:-1]
        return [
            float(own.max()) - math.log(len(pieces[0])) / self.tail
            for own, pieces in zip(np.split(margins, ends), read, strict=True)
        ]


def _chance(margin: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, margin))))
