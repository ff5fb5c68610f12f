"""Whether two questions agree in every word of weight: what is asked of questions with one normal form."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from plumbline_cache.domain.sameness.stems import stems_of

_COURTESY: Final = re.compile(
    r"^(?:(?:hi|hello|hey|please|(?:can|could|would|will) you(?: please)? (?:tell|explain to) me"
    r"|(?:please )?tell me|do you know|i(?: would|'d) like to know|i want to know)\b[\s,:!.]*)+",
    re.IGNORECASE,
)
_NEGATED: Final = re.compile(r"\b(?:(ca)n't|(can)not|(wo)n't|(\w+?)n't)\b", re.IGNORECASE)
_SHORTENED: Final = re.compile(r"\b(what|who|where|when|how|that|it|there|here)'s\b", re.IGNORECASE)
_TOKEN: Final = re.compile(r"\d\w*(?:[.,:]\d+)*|\w+|(?<!\w)-(?=\d)|[^\w\s.,;:!?'\"“”()-]")

_FILLERS: Final = frozenset(
    ("a", "an", "the", "of", "is", "are", "am", "be", "do", "does", "please", "kindly", "thanks", "thank")
)
"""Words that never change what a question asks. Not among them: was, did, not, can, who, my, before."""

_DIRECTIONS: Final = frozenset(
    ("than", "from", "to", "before", "after", "into", "between", "versus", "vs", "over", "under", "by")
)
"""Words that give the order of the others a meaning."""


LONG: Final = 400
"""Characters. The words of 8,000 are 100 kB and somebody may ask thousands of them: fewer are remembered."""


def asks_the_same(a: str, b: str) -> bool:
    """Whether *a* and *b* agree in every number, negation, name and other word of weight.

    The order counts too, except that "the price of X" is "the X price".
    """
    words_a, words_b = _weighty(a), _weighty(b)
    if words_a == words_b:
        return True
    turned = sorted(words_a) == sorted(words_b) and _DIRECTIONS.isdisjoint(words_a)
    return turned and ("of" in _words(a)) != ("of" in _words(b))  # last: nobody remembers it


def _weighty(question: str) -> Sequence[str]:
    return _long(question) if len(question) > LONG else _short(question)


def _read(question: str) -> Sequence[str]:
    return [stem for word in _words(question) if word not in _FILLERS for stem in stems_of(word)]


# A question is compared with eight neighbours, and popular entries are near to many.
_short: Final = lru_cache(maxsize=8_192)(_read)
_long: Final = lru_cache(maxsize=256)(_read)


def _words(question: str) -> list[str]:
    plain = _COURTESY.sub("", question.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip())
    plain = _SHORTENED.sub(r"\1 is", _NEGATED.sub(_spell_out, plain))
    return [match.group().casefold() for match in _TOKEN.finditer(plain)]


def _spell_out(negated: re.Match[str]) -> str:
    cant, cannot, wont, other = negated.groups()
    return f"{'can' if cant or cannot else 'will' if wont else other} not"
