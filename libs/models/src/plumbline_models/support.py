"""How much of a claim a passage holds, by words: no model, and no fluent wrong answer deceives it.

The measure is the share of a claim's content words that the passage holds (unigram precision, as in Nogueira
and Cho's overlap baselines for groundedness). Sentence similarity is no substitute: a fluent wrong answer is as
close to its passage as a right one. What it cannot see: a claim built from the passage's own words in another
order. That a passage denies a claim is seen by `checking`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plumbline_models.text import content_words, is_number
from plumbline_models.units import measured_otherwise

_MARKERS: Final = re.compile(r"\[\d+(?:\s*,\s*\d+)*\]|^\s*(?:\d{1,3}[.)]|[-*\u2022\u2013])\s+")
_NAME: Final = re.compile(r"(?<!^)(?<![.!?:] )\b[A-Z][\w'\u2019-]+")


@dataclass(frozen=True, slots=True)
class Support:
    """What a passage holds of a claim."""

    score: float
    """Share of the claim's content words, in [0, 1]; 0 for a claim without any, or with a missing number."""
    missing_numbers: tuple[str, ...]
    """Without any missing, those that the passage measures in other units."""
    missing_names: tuple[str, ...]
    """Capitalised words, not the first of a sentence, as the claim writes them."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a passage is asked for."""

    words: tuple[str, ...]
    numbers: tuple[str, ...]
    names: tuple[tuple[str, tuple[str, ...]], ...]
    """As the claim writes them, and the words of each."""


def claim_words(claim: str) -> list[str]:
    """The content words of a claim, without its citation markers and list number; none: it claims nothing."""
    return list(_read(claim).words)


def indispensable(claim: str) -> frozenset[str]:
    """Those of the `claim_words` without which no passage supports it: its numbers and the words of its names."""
    read = _read(claim)
    return frozenset(read.numbers).union(*(words for _, words in read.names))


def assess(claim: str, passage: str) -> Support:
    """Compare a claim with a passage. Citation markers and list numbers of the claim don't count."""
    read, held = _read(claim), _held(passage)
    numbers = tuple(word for word in read.numbers if word not in held)
    if read.numbers and not numbers:
        numbers = measured_otherwise(claim, passage)
    names = tuple(name for name, words in read.names if not held.issuperset(words))
    share = sum(word in held for word in read.words) / len(read.words) if read.words and not numbers else 0.0
    return Support(share, numbers, names)


def question_support(question: str, passages: Sequence[str]) -> float:
    """Greatest share of the question's content words that one passage holds, in [0, 1]; 0 without passages."""
    words = content_words(question)
    if not words:
        return 0.0
    return max((sum(word in held for word in words) / len(words) for held in map(_held, passages)), default=0.0)


@lru_cache(maxsize=256)  # each is compared with several passages
def _read(claim: str) -> _Claim:
    bare = _MARKERS.sub(" ", claim)
    words = tuple(content_words(bare))
    names = ((name, tuple(content_words(name))) for name in dict.fromkeys(_NAME.findall(bare)))
    return _Claim(words, tuple(filter(is_number, dict.fromkeys(words))), tuple(names))


@lru_cache(maxsize=1024)
def _held(passage: str) -> frozenset[str]:
    return frozenset(content_words(passage))
