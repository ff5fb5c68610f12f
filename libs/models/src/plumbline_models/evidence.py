"""Where in a source a sentence's support stands, and whether what stands there denies it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Final

from plumbline_models.support import claim_words, indispensable
from plumbline_models.text import Span, content_words, sentence_words

DENIALS: Final = frozenset(
    content_words("not no never without none nor neither nothing nobody nicht kein keinen keinem keiner nie nunca")
)
LIKENESS: Final = 0.6
"""A sentence with so large a share of another's words says the same, or denies it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a sentence may rest on."""

    title: str
    text: str

    @property
    def whole(self) -> str:
        """The title counts, because the text often only says "it"."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of the source: where it stands, and its words with content."""

    span: Span
    words: frozenset[str]


class EvidenceFinder:
    """Finds the sentences of one source."""

    def __init__(self, source: Source) -> None:
        self._text = source.text
        self._title = frozenset(content_words(source.title))

    def find(self, claim: str, minimum: float) -> tuple[Span, ...]:
        """The fewest sentences of the text, chosen greedily, that with the title hold *minimum* of the claim's words.

        They hold all of its numbers and names that the text holds. In the text's order; one at least, if it has any.
        None where they deny what the claim says, or the claim denies what they say.
        """
        words = claim_words(claim)
        chosen = self._choose(words, indispensable(claim), minimum)
        if _contradict(frozenset(words), chosen):
            return ()
        return tuple(sorted((one.span for one in chosen), key=lambda span: span.start))

    def _choose(self, words: list[str], needed: frozenset[str], minimum: float) -> list[_Sentence]:
        missing = Counter(word for word in words if word not in self._title)
        chosen: list[_Sentence] = []
        all_of_them = _cut(self._text)
        best_first = [(-_gain(one, missing), place) for place, one in enumerate(all_of_them)]
        heapify(best_first)
        while best_first and (not chosen or not _enough(len(words), missing, needed, minimum)):
            told, place = heappop(best_first)
            loss = -_gain(all_of_them[place], missing)
            if loss != told:  # gains only shrink: what is the best by its new gain is the best of all
                heappush(best_first, (loss, place))
                continue
            if chosen and not loss:
                break
            chosen.append(all_of_them[place])
            for word in all_of_them[place].words:
                missing.pop(word, None)
        return chosen


@lru_cache(maxsize=1024)  # popular passages come again and again
def _cut(text: str) -> tuple[_Sentence, ...]:
    return tuple(_Sentence(span, frozenset(words)) for span, words in sentence_words(text))


def _gain(sentence: _Sentence, missing: Mapping[str, int]) -> int:
    """How many of the missing words it holds; one that the claim says twice counts twice."""
    return sum(missing.get(word, 0) for word in sentence.words)


def _enough(words: int, missing: Counter[str], needed: frozenset[str], minimum: float) -> bool:
    return missing.total() <= (1 - minimum) * words and needed.isdisjoint(missing)


def _contradict(words: frozenset[str], chosen: list[_Sentence]) -> bool:
    """Whether one side denies and the other does not; of the source, only what is nearly the claim's sentence."""
    if not words.isdisjoint(DENIALS):
        return all(one.words.isdisjoint(DENIALS) for one in chosen)
    return any(_denies(one.words, words) for one in chosen)


def _denies(sentence: frozenset[str], words: frozenset[str]) -> bool:
    """Whether *sentence* is mostly *words*, beside the words that deny them."""
    said, shared = sentence - DENIALS, sentence & words
    return said != sentence and bool(shared) and len(shared) >= LIKENESS * len(said)
