"""Joins what two ways of searching found, and orders it by what else is known of the passages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plumbline_models.text import content_words
from plumbline_retrieval.domain.document import FACTS, Found
from plumbline_retrieval.domain.source import Source, Trust

DENSE_WEIGHT: Final = 0.7
WORDS_WEIGHT: Final = 0.4
PAIRS_WEIGHT: Final = 0.5
"""Of what the lists say, and of the question's words and pairs of words that a passage holds, beside a list's 1.

Chosen on half of the questions of four public sets, by a hash of the question; `make bench-retrieval` reports on the
other half.
"""
CANDIDATES: Final = 100
"""How many of each list take part."""
CONSIDERED: Final = 20
"""How many of the best are looked at again; looking at more lost hits, and a reranker's work grows with them."""

FACT_LEAD: Final = 10
"""Divides what a fact about the subject asked for lacks to 1: what holds now goes before what a page once said."""

PassageId = Any
"""What an index names a passage by: hashable, and comparable with others of that index."""
Scored = Sequence[tuple[PassageId, float]]
"""Ids and scores, best first."""
Hit = tuple[Found, float]
Hits = Sequence[Hit]
"""Passages and scores in [0, 1], best first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What both ways found for one wording."""

    dense: Scored
    """Scores are cosines."""
    sparse: Scored
    """Scores are BM25's."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How much else counts than that a passage fits."""

    trust_weight: float = 0.1
    """The share of its score that a passage of the least trusted source loses, in [0, 1]."""
    half_life: timedelta | None = None
    """A passage of this age has lost half of its score; None means that age does not count."""


def fuse(ranked: Sequence[Ranked]) -> list[tuple[PassageId, float]]:
    """The ids by their mean score over the wordings.

    For each wording, each list's scores are stretched to [0, 1] and joined 0.7 dense + 0.3 sparse; what a list lacks
    counts 0 there. Weighted by scores because ranks alone lost 0.01 to 0.05 of hit@1 on four public sets.
    """
    joined: dict[PassageId, float] = {}
    for each in ranked:
        for scored, weight in ((each.dense, DENSE_WEIGHT), (each.sparse, 1 - DENSE_WEIGHT)):
            for name, score in _stretched(scored):
                joined[name] = joined.get(name, 0.0) + weight * score / len(ranked)
    return sorted(joined.items(), key=lambda item: (-item[1], item[0]))


def covering(hits: Hits, question: str) -> list[Hit]:
    """*hits* ordered anew: the share of the question's words, and of its pairs of neighbours, that each holds counts.

    BM25 gives most of its score for one rare word; an answer holds most of the words, and some side by side.
    """
    words = words_of(question)
    pairs = [f" {first} {second} " for first, second in dict.fromkeys(pairwise(words))]
    singles = [f" {word} " for word in dict.fromkeys(words)]
    whole = 1 + WORDS_WEIGHT + PAIRS_WEIGHT

    def score(found: Found, listed: float) -> float:
        held = WORDS_WEIGHT * _share(singles, found.words) + PAIRS_WEIGHT * _share(pairs, found.words)
        return (listed + held) / whole

    return rescored(hits, [score(*hit) for hit in hits[:CONSIDERED]])


@lru_cache(maxsize=16)
def words_of(question: str) -> tuple[str, ...]:
    """The stems of its words with content, kept at hand: one search wants them three times."""
    return tuple(content_words(question))


def rescored(hits: Hits, scores: Sequence[float]) -> list[Hit]:
    """*hits*, whose best have these new *scores*: those in their new order, then the others in theirs."""
    best = [(found, score) for (found, _), score in zip(hits, scores, strict=False)]
    floor = min(scores, default=1.0)
    return ordered(best) + [(found, floor * score) for found, score in hits[len(scores) :]]


def preferred(
    hits: Hits, question: str, sources: Mapping[str, Source], preferences: Preferences, now: datetime
) -> list[Hit]:
    """*hits* ordered anew by how far their sources are trusted, by their age, and whether they are facts asked for."""
    asked = set(words_of(question))

    def weighted(found: Found, score: float) -> float:
        source = sources.get(found.source_id)
        trust = source.trust if source else Trust.MEDIUM
        score *= 1 - preferences.trust_weight * (Trust.HIGH - trust) / (Trust.HIGH - Trust.LOW)
        if preferences.half_life is not None:
            score *= 0.5 ** (max(now - found.submitted_at, timedelta(0)) / preferences.half_life)
        if found.ref.document_id.startswith(FACTS) and asked.issuperset(content_words(found.title)):
            score = 1 - (1 - score) / FACT_LEAD
        return score

    return ordered([(found, weighted(found, score)) for found, score in hits])


def ordered(hits: Hits) -> list[Hit]:
    """By score, best first; equal ones by document and place, so that two answers agree."""
    return sorted(hits, key=lambda hit: (-hit[1], hit[0].ref.document_id, hit[0].passage.ordinal))


def distinct(hits: Hits) -> list[Hit]:
    """*hits* without passages whose text came before: whose document was copied is not heard twice."""
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit[0].ref.passage_hash, hit)
    return list(first.values())


def diverse(hits: Hits, vectors: NDArray[np.float32], diversity: float, limit: int) -> list[Hit]:
    """At most *limit* of *hits*, each chosen for its score less *diversity* times its likeness to those before.

    Maximal marginal relevance (Carbonell and Goldstein, 1998). *vectors* has a unit row for each of *hits*.
    """
    scores = np.array([score for _, score in hits])
    alike = np.zeros(len(hits))
    chosen: list[int] = []
    while len(chosen) < min(limit, len(hits)):
        values = (1 - diversity) * scores - diversity * alike
        values[chosen] = -np.inf
        best = int(np.argmax(values))
        chosen.append(best)
        alike = np.maximum(alike, vectors @ vectors[best])
    return [hits[number] for number in chosen]


def _share(pieces: Sequence[str], words: str) -> float:
    return sum([piece in words for piece in pieces]) / len(pieces) if pieces else 0.0


def _stretched(scored: Scored) -> Scored:
    if not scored:
        return ()
    low, high = scored[-1][1], scored[0][1]
    if high <= low:
        return [(name, 1.0) for name, _ in scored]
    return [(name, (score - low) / (high - low)) for name, score in scored]
