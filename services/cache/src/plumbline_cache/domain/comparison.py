"""Whether a cached answer is right for the question it was given to, told by a fresh answer to that question.

Two right answers may use other words, so they are compared by what they rest on as well: the sentences of the
passages that hold them. Numbers and names that only the one and only the other has make two answers, however alike the
rest is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Final

from plumbline_cache.domain.audit import Outcome
from plumbline_models.checking import SentenceCheck, Standing, sentences_to_check
from plumbline_models.evidence import Source
from plumbline_models.support import indispensable
from plumbline_models.text import content_words, is_number

MINIMUM_SUPPORT: Final = 0.6
"""Share of its content words that a passage must hold of a sentence."""
MOST_SENTENCES: Final = 50
"""What goes on for longer is compared by its beginning: every sentence is compared with every one."""
ALIKE: Final = 0.75
"""From this share of the shorter answer's content words on, two answers say the same."""
SHARED_EVIDENCE: Final = 0.5
"""From this share of the fewer sentences on, two answers rest on the same."""
ALIKE_SENTENCES: Final = 0.5
"""From this share of the shorter one's other words on, sentences with different numbers or names contradict."""
UNLIKE: Final = 0.5
"""Below this share of words, answers that rest on different sentences are different."""


class Reason(Enum):
    """What decided."""

    REFUSED = "refused"
    """One answers, the other says that the documents do not, or both say so."""
    NUMBERS_AND_NAMES = "numbers_and_names"
    NOT_SUPPORTED = "not_supported"
    """Nothing that was found for the question holds a number or name of the cached answer."""
    WORDS = "words"
    EVIDENCE = "evidence"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it is compared."""

    text: str
    refused: bool
    sources: tuple[Source, ...]
    """The passages that it may rest on."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it, and by what."""

    outcome: Outcome
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Its content words, and those of its numbers and names."""

    words: frozenset[str]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Read(_Sentence):
    """A whole answer, and the sentences of the passages that hold it, by their words."""

    sentences: tuple[_Sentence, ...]
    evidence: frozenset[tuple[str, ...]]


def compare(cached: Told, fresh: Told) -> Comparison:
    """Whether *cached* is right for the question that *fresh* answers."""
    if cached.refused or fresh.refused:
        return Comparison(Outcome.SAME if cached.refused and fresh.refused else Outcome.DIFFERENT, Reason.REFUSED)
    old, new = _read(cached), _read(fresh)
    if any(_contradict(one, other, old, new) for one in old.sentences for other in new.sentences):
        return Comparison(Outcome.DIFFERENT, Reason.NUMBERS_AND_NAMES)
    if any(map(is_number, old.needed - new.needed - _words_of(fresh.sources))):
        return Comparison(Outcome.DIFFERENT, Reason.NOT_SUPPORTED)
    words, evidence = _overlap(old.words, new.words), _overlap(old.evidence, new.evidence)
    if words >= ALIKE:
        return Comparison(Outcome.SAME, Reason.WORDS)
    if evidence >= SHARED_EVIDENCE:
        return Comparison(Outcome.SAME, Reason.EVIDENCE)
    unlike = words < UNLIKE and not evidence
    return Comparison(Outcome.DIFFERENT, Reason.WORDS) if unlike else Comparison(Outcome.UNDECIDED, Reason.UNCLEAR)


def _read(told: Told) -> _Read:
    said = [span.of(told.text) for span in islice(sentences_to_check(told.text), MOST_SENTENCES)]
    read = tuple(_Sentence(frozenset(content_words(one)), indispensable(one)) for one in said)
    return _Read(
        words=frozenset[str]().union(*(one.words for one in read)),
        needed=frozenset[str]().union(*(one.needed for one in read)),
        sentences=read,
        evidence=frozenset(_evidence(said, told.sources)),
    )


def _evidence(said: Sequence[str], sources: Sequence[Source]) -> Iterator[tuple[str, ...]]:
    """By its words, for a document that changed elsewhere keeps its sentence."""
    check = SentenceCheck(sources, MINIMUM_SUPPORT)
    for sentence in said:
        checked = check(sentence)
        if checked.standing is Standing.SUPPORTED:
            for index, held in checked.held.items():
                yield from (tuple(content_words(span.of(sources[index].text))) for span in held.evidence)


def _contradict(one: _Sentence, other: _Sentence, old: _Sentence, new: _Sentence) -> bool:
    """Whether two sentences of both answers say the same of something else, or something else of the same."""
    alike = _overlap(one.words - one.needed, other.words - other.needed) >= ALIKE_SENTENCES
    return alike and bool(one.needed - new.words) and bool(other.needed - old.words)


def _words_of(sources: Sequence[Source]) -> frozenset[str]:
    return frozenset(word for source in sources for word in content_words(source.whole))


def _overlap(a: frozenset[object], b: frozenset[object]) -> float:
    """Share of the smaller that the larger holds; 0 where one is empty."""
    smaller = min(len(a), len(b))
    return len(a & b) / smaller if smaller else 0.0
