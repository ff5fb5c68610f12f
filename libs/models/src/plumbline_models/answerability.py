"""How likely passages hold the answer to a question, by words and, where a search compared vectors, by meaning.

A logistic regression on a handful of measures. Nothing is encoded for it: a search has the cosines already. Its
weights lie in `answerability.json`; `make train-answerability` writes them, and docs/decisions/0013-answerability.md
says how well they do and what they cannot see.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final

from plumbline_models.text import content_words, sentence_words

PASSAGES: Final = 4
"""How many of the best are looked at: with so many the weights were chosen."""
WINDOW: Final = 2
"""Sentences that are read together."""
LEAST_LENGTH: Final = 20
"""In words: a shorter text is no denser for being short."""
WEIGHTS_FILE: Final = "answerability.json"


@dataclass(frozen=True, slots=True)
class Read:
    """A passage as it was found. *similarity* is its cosine to the question; None where nothing compared them."""

    title: str
    text: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression: a bias, and a weight for each measure that it looks at, by its name."""

    bias: float
    weights: Mapping[str, float]

    def probability(self, measures: Mapping[str, float]) -> float:
        """In [0, 1]."""
        logit = self.bias + sum(weight * measures[name] for name, weight in self.weights.items())
        return 0.5 + 0.5 * math.tanh(logit / 2)  # the logistic function in a form that never overflows


def answerability(question: str, passages: Sequence[Read]) -> float:
    """The probability, in [0, 1], that one of the best passages answers; 0 where there are none.

    Passages are best first; beyond the fourth they are not looked at. A probability where half of the questions have
    an answer and the cosines are the local encoder's: those of another one order questions, and need weights of their
    own. Where no passage has one, words alone decide, which tell much less.
    """
    best = passages[:PASSAGES]
    if not best:
        return 0.0
    compared = any(passage.similarity is not None for passage in best)
    return _weights()["meaning" if compared else "words"].probability(measures(question, best))


def measures(question: str, passages: Sequence[Read]) -> dict[str, float]:
    """What the weights look at, by name, of at least one passage.

    A passage without a cosine, which a search found by its words alone, counts as near as the farthest of the others.
    """
    sequence = content_words(question)
    words, pairs = tuple(dict.fromkeys(sequence)), tuple(dict.fromkeys(pairwise(sequence)))
    best = [_looked_at(passage.title, passage.text) for passage in passages[:PASSAGES]]
    told = [passage.similarity for passage in passages[:PASSAGES]]
    farthest = min((cosine for cosine in told if cosine is not None), default=0.0)
    cosines = [farthest if cosine is None else cosine for cosine in told]
    return {
        "held_by_text": max(_share(words, each.words) for each in best),
        "held_by_window": max(_share(words, window) for each in best for window in each.windows),
        "held_by_lead": max(_share(words, each.windows[0]) for each in best),
        "pairs": max(_share(pairs, each.pairs) for each in best),
        "density": math.log(0.01 + max(each.density(words) for each in best)),
        "length": math.log1p(len(words)),
        "first": cosines[0],
        "nearest": max(cosines),
    }


@dataclass(frozen=True, slots=True)
class _Text:
    """The words of one passage."""

    sequence: tuple[str, ...]
    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    """Of neighbours, the title's too."""
    windows: tuple[frozenset[str], ...]
    """The words of every two sentences in a row; one at least."""

    def density(self, words: Iterable[str]) -> float:
        """The share of the text's words that are among *words*."""
        return sum(map(self.sequence.count, words)) / max(LEAST_LENGTH, len(self.sequence))


@lru_cache(maxsize=1024)  # popular passages come again and again
def _looked_at(title: str, text: str) -> _Text:
    named, each = content_words(title), [words for _, words in sentence_words(text)]
    sequence = tuple(word for words in each for word in words)
    windows = tuple(
        frozenset(word for words in each[at : at + WINDOW] for word in words)
        for at in range(max(1, len(each) - WINDOW + 1))
    )
    pairs = frozenset(pairwise((*named, *sequence)))
    return _Text(sequence, frozenset(sequence), pairs, windows)


def _share(pieces: Collection[object], held: Collection[object]) -> float:
    return sum(piece in held for piece in pieces) / len(pieces) if pieces else 0.0


@lru_cache(maxsize=1)
def _weights() -> Mapping[str, Weights]:
    content = json.loads((resources.files(__package__) / WEIGHTS_FILE).read_text(encoding="utf-8"))
    return {name: Weights(one["bias"], one["weights"]) for name, one in content.items()}
