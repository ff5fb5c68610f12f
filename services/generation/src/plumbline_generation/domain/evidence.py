"""Where in a passage a sentence's support stands, and whether what stands there denies it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plumbline_generation.domain.answer import Evidence, Passage
from plumbline_models.support import claim_words
from plumbline_models.text import Span, content_words, is_number, sentences

DENIALS: Final = frozenset(
    content_words("not no never without none nor neither nothing nobody nicht kein keinen keinem keiner nie nunca")
)
LIKENESS: Final = 0.6
"""A sentence with so large a share of another's words says the same, or denies it."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of the passage: where it stands, and its words with content."""

    span: Span
    words: frozenset[str]


class EvidenceFinder:
    """Finds the sentences of one passage."""

    def __init__(self, number: int, passage: Passage) -> None:
        """*number* is the 1-based one of the source."""
        self._number = number
        self._passage = passage
        self._title = frozenset(content_words(passage.title))

    def find(self, claim: str, minimum: float) -> tuple[Evidence, ...]:
        """The fewest sentences, chosen greedily, that with the title hold *minimum* of the claim's words.

        They hold all of its numbers that the passage holds. In the order of the document; one at least, if the
        passage has any. None where they deny what the claim says, or the claim denies what they say.
        """
        words = claim_words(claim)
        chosen = self._choose(words, minimum)
        return () if _contradict(frozenset(words), chosen) else self._placed(chosen)

    def _choose(self, words: list[str], minimum: float) -> list[_Sentence]:
        missing = [word for word in words if word not in self._title]
        chosen: list[_Sentence] = []
        left = list(_cut(self._passage.text))
        while left and (not chosen or not _enough(words, missing, minimum)):
            best = max(left, key=lambda one: (sum(word in one.words for word in missing), -one.span.start))
            if chosen and best.words.isdisjoint(missing):
                break
            chosen.append(best)
            missing = [word for word in missing if word not in best.words]
            left.remove(best)
        return chosen

    def _placed(self, chosen: list[_Sentence]) -> tuple[Evidence, ...]:
        passage = self._passage
        if passage.end - passage.start != len(passage.text):  # rows of a table with its header before them
            return (Evidence(self._number, passage.start, passage.end),)
        spans = sorted((one.span for one in chosen), key=lambda span: span.start)
        return tuple(Evidence(self._number, passage.start + span.start, passage.start + span.end) for span in spans)


@lru_cache(maxsize=1024)  # popular passages come again and again
def _cut(text: str) -> tuple[_Sentence, ...]:
    return tuple(_Sentence(span, frozenset(content_words(span.of(text)))) for span in sentences(text))


def _enough(words: list[str], missing: list[str], minimum: float) -> bool:
    return len(missing) <= (1 - minimum) * len(words) and not any(map(is_number, missing))


def _contradict(words: frozenset[str], chosen: list[_Sentence]) -> bool:
    """Whether one side denies and the other does not; of the passage, only what is nearly the claim's sentence."""
    if not words.isdisjoint(DENIALS):
        return all(one.words.isdisjoint(DENIALS) for one in chosen)
    return any(
        not one.words.isdisjoint(DENIALS) and len(words & one.words) >= LIKENESS * len(one.words) for one in chosen
    )
