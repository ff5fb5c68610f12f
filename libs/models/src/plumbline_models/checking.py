"""Whether sources hold a sentence, by words: the one check of answers on their way out and in their evaluation.

No model takes part. A sentence that its source denies is not supported, and what words cannot judge is neither
supported nor unsupported.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from plumbline_models.evidence import EvidenceFinder, Source
from plumbline_models.language import ENGLISH, is_unspaced, languages
from plumbline_models.support import assess, claim_words
from plumbline_models.text import LOOK_BEHIND, Span, each_sentence

LOW_SUPPORT: Final = 0.3
"""Below this share of its words a German or Spanish sentence has no support: their words have more forms."""
JUDGED: Final = frozenset({ENGLISH, "de", "es"})
"""The languages in which the check was measured."""
CODE: Final = "```"
MAX_LEAD_WORDS: Final = 12
MAX_SENTENCE: Final = 2_000
"""Characters; what goes on for longer without an end is cut there, so that a text's cost is linear in its length."""

_INK: Final = re.compile(r"\S")
_SAYS_NOTHING: Final = re.compile(
    r"(?:yes|no|sure|sorry|unfortunately|certainly|absolutely|of course|ok(?:ay)?|hello|hi|thanks|thank you"
    r"|ja|nein|hallo|danke|s\u00ed|no|hola|gracias|oui|non|bonjour|merci)(?: there| you)?[\s.,!:]*"
    r"|[1-9][.)]",  # the number of an item that was not written
    re.IGNORECASE,
)


class Standing(Enum):
    """What came of a sentence."""

    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    NOT_CHECKED = "not_checked"
    """Words cannot judge it: another language or script, or code. It may not be taken for supported."""
    NO_CLAIM = "no_claim"
    """It says nothing that could be supported: a heading, a greeting, "Yes." """


@dataclass(frozen=True, slots=True)
class Held:
    """What a source that supports a sentence holds of it."""

    score: float
    """Share of the sentence's content words, in [0, 1]."""
    evidence: tuple[Span, ...]
    """Of the source's text, in its order; one at least."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence against all sources."""

    standing: Standing
    best: float = 0.0
    """Greatest share of its content words that a source holds, in [0, 1], whether that supports it or not."""
    held: Mapping[int, Held] = field(default_factory=dict)
    """By the index of each source that supports it."""


class SentenceCheck:
    """Checks sentences against the sources of one answer."""

    def __init__(self, sources: Sequence[Source], minimum: float) -> None:
        """A source supports a sentence from *minimum* of its content words on, if it holds its numbers and names."""
        self._texts = [source.whole for source in sources]
        self._evidence = [EvidenceFinder(source) for source in sources]
        self._minimum = minimum
        self._languages = frozenset().union(*map(_languages, self._texts))

    def __call__(self, sentence: str) -> Checked:
        """What comes of *sentence*."""
        if _claims_nothing(sentence):
            return Checked(Standing.NO_CLAIM)
        found = [assess(sentence, text) for text in self._texts]
        best = max((support.score for support in found), default=0.0)
        needed = self._needed(sentence)
        held = {
            index: Held(support.score, evidence)
            for index, support in enumerate(found)
            if support.score >= needed and not support.missing_names
            if (evidence := self._evidence[index].find(sentence, self._minimum))
        }
        if held:
            return Checked(Standing.SUPPORTED, best, held)
        return Checked(Standing.UNSUPPORTED if self._can_judge(sentence, best) else Standing.NOT_CHECKED, best)

    def _needed(self, sentence: str) -> float:
        """In a language that the check was not measured in, nothing short of every word is support."""
        return 1.0 if is_unspaced(sentence) or not self._is_judged(sentence) else self._minimum

    def _is_judged(self, sentence: str) -> bool:
        return not JUDGED.isdisjoint(_languages(sentence) or self._languages or {ENGLISH})

    def _can_judge(self, sentence: str, best: float) -> bool:
        """Whether words that are missing mean anything: they do if sentence and sources are in one known language."""
        own, theirs = _languages(sentence), self._languages
        if sentence.startswith(CODE) or is_unspaced(sentence) or not self._is_judged(sentence):
            return False
        if own and theirs and own.isdisjoint(theirs):
            return False
        english = ENGLISH in (own or theirs or {ENGLISH})
        return english or best < LOW_SUPPORT


def sentences_to_check(text: str) -> Iterator[Span]:
    """The pieces of *text* that are checked, in order."""
    end = 0
    while span := next_sentence(text, end):
        yield span
        end = span.end


def next_sentence(text: str, start: int) -> Span | None:
    """The first that is checked from *start*, the end of another, on. A fenced block of code is one."""
    ink = _INK.search(text, start)
    if not ink:
        return None
    begin = ink.start()
    if text.startswith(CODE, begin):
        fence = text.find(CODE, begin + len(CODE))
        return Span(begin, len(text.rstrip()) if fence == -1 else next(each_sentence(text, fence)).end)
    behind = max(0, start - LOOK_BEHIND)
    near = text[behind : begin + 2 * MAX_SENTENCE]
    end = behind + next(each_sentence(near, start - behind)).end
    return Span(begin, min(end, begin + len(text[begin : begin + MAX_SENTENCE].rstrip())))


@lru_cache(maxsize=1024)
def _languages(text: str) -> frozenset[str]:
    return languages(text)


def _claims_nothing(sentence: str) -> bool:
    """A greeting or a yes; without figures and if short, a heading, a question, or what announces a list."""
    if not claim_words(sentence) or _SAYS_NOTHING.fullmatch(sentence):
        return True
    announces = sentence.startswith("#") or sentence.rstrip("*_ ").endswith((":", "?"))
    return announces and len(sentence.split()) <= MAX_LEAD_WORDS and not any(map(str.isdigit, sentence))
