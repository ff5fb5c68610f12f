"""Whether two questions that lie close together ask the same thing.

The encoder puts "opens at 9" beside "opens at 8", and "A before B" beside "B before A". So beyond nearness everything
that can change the answer is looked at by itself; in doubt two questions differ, which costs one generation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plumbline_cache.domain.sameness.certainty import certainty
from plumbline_cache.domain.sameness.checks import Check, Outcome, checks
from plumbline_cache.domain.sameness.reading import read
from plumbline_cache.domain.sameness.strict import asks_the_same
from plumbline_models.language import ENGLISH, languages

__all__ = ["Check", "Comparison", "Outcome", "asks_the_same", "compare"]

MOST_CHARACTERS: Final = 400
"""What is longer is a text with a question in it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What there is to say about two questions."""

    checks: Sequence[Check]
    """In a fixed order; of questions that are not both plain English only "language" and "words"."""
    certainty: float
    """That both ask the same, in [0, 1]; 0 where a check differs, 1 where they agree in every word of weight."""

    def is_same(self, least: float) -> bool:
        """Whether it is as sure as *least*, in (0, 1]."""
        return self.certainty >= least > 0


def compare(a: str, b: str, similarity: float) -> Comparison:
    """Compare two questions whose vectors have the cosine *similarity*; their order makes no difference.

    The words are known for English only. In other languages, and in questions of more than 400 characters, every word
    of weight has to be equal.
    """
    strict = asks_the_same(a, b)
    if not (_is_known(a) and _is_known(b)):
        words = Check("words", Outcome.AGREES if strict else Outcome.DIFFERS, "" if strict else "not all are equal")
        return Comparison(
            [Check("language", Outcome.UNKNOWN, "not plain English: all words have to be equal"), words], strict
        )
    one, other = read(a), read(b)
    found = checks(one, other)
    if any(check.outcome is Outcome.DIFFERS for check in found):
        return Comparison(found, 0.0)
    return Comparison(found, 1.0 if strict else certainty(one, other, similarity))


def _is_known(question: str) -> bool:
    return len(question) <= MOST_CHARACTERS and _is_english(question)


@lru_cache(maxsize=8_192)  # as readings are
def _is_english(question: str) -> bool:
    return ENGLISH in languages(question)
