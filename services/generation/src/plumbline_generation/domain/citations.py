"""Which passages a sentence of an answer rests on. The model is not trusted with this: words are counted."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from plumbline_generation.domain.answer import Claim, ClaimStatus, Evidence, Passage
from plumbline_generation.domain.evidence import EvidenceFinder
from plumbline_models.language import ENGLISH, is_unspaced, languages
from plumbline_models.support import Support, assess, claim_words
from plumbline_models.text import Span, sentences

LOW_SUPPORT: Final = 0.3
"""Below this share of its words a German or Spanish sentence has no support: their words have more forms."""
JUDGED: Final = frozenset({ENGLISH, "de", "es"})
"""The languages in which the check was measured."""
CODE: Final = "```"
MAX_LEAD_WORDS: Final = 12

_SAYS_NOTHING: Final = re.compile(
    r"(?:yes|no|sure|sorry|unfortunately|certainly|absolutely|of course|ok(?:ay)?|hello|hi|thanks|thank you"
    r"|ja|nein|hallo|danke|s\u00ed|no|hola|gracias|oui|non|bonjour|merci)(?: there| you)?[\s.,!:]*"
    r"|[1-9][.)]",  # the number of an item that was not written
    re.IGNORECASE,
)


class Checker:
    """Checks sentences against the sources of one answer."""

    def __init__(self, sources: Sequence[Passage], minimum: float, own: Sequence[str] = ()) -> None:
        """A source supports a sentence from *minimum* of its content words on, if it holds its numbers and names.

        Of what the caller gave, *own*, no source is asked.
        """
        self._own = tuple(own)
        self._texts = [source.evidence for source in sources]
        self._evidence = [EvidenceFinder(number, source) for number, source in enumerate(sources, start=1)]
        self._minimum = minimum
        self._languages = frozenset().union(*map(_languages, self._texts))

    def check(self, text: str, span: Span, marked: Sequence[int]) -> Claim:
        """The sentence at *span*, which the model marked with those numbers.

        Cited are first those that it marked and that do support it, then the sources that hold most of it.
        """
        sentence = self._without_own(span.of(text))
        if _claims_nothing(sentence):
            return Claim(span.start, span.end, (), 0.0, ClaimStatus.NO_CLAIM)
        found = [assess(sentence, source) for source in self._texts]
        best = max((support.score for support in found), default=0.0)
        own, others, evidence = self._supporting(sentence, found, marked)
        if not evidence:
            known = self._can_judge(sentence, best)
            status = ClaimStatus.UNSUPPORTED if known else ClaimStatus.NOT_CHECKED
        else:
            status = ClaimStatus.SUPPORTED if own else ClaimStatus.REPAIRED if marked else ClaimStatus.ATTRIBUTED
        return Claim(span.start, span.end, (*own, *others), best, status, evidence)

    def _without_own(self, sentence: str) -> str:
        for value in self._own:
            sentence = sentence.replace(value, "")
        return sentence

    def _supporting(
        self, sentence: str, found: Sequence[Support], marked: Sequence[int]
    ) -> tuple[list[int], list[int], tuple[Evidence, ...]]:
        """The numbers of those that the model marked, of the others that hold most, and where it stands in both."""
        needed = self._needed(sentence)
        evidence = {
            number: self._evidence[number - 1].find(sentence, self._minimum)
            for number, support in enumerate(found, start=1)
            if support.score >= needed and not support.missing_names
        }
        scores = {number: found[number - 1].score for number, where in evidence.items() if where}
        most = max(scores.values(), default=0.0)
        own = [number for number in dict.fromkeys(marked) if number in scores]
        others = [number for number, score in scores.items() if score == most and number not in own]
        return own, others, tuple(one for number in (*own, *others) for one in evidence[number])

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


@lru_cache(maxsize=1024)
def _languages(text: str) -> frozenset[str]:
    return languages(text)


def cite(text: str, checker: Checker) -> tuple[Claim, ...]:
    """One claim a sentence of a text that no model wrote."""
    return tuple(checker.check(text, span, ()) for span in sentences(text))


def _claims_nothing(sentence: str) -> bool:
    """A greeting or a yes; without figures and if short, a heading, a question, or what announces a list."""
    if not claim_words(sentence) or _SAYS_NOTHING.fullmatch(sentence):
        return True
    announces = sentence.startswith("#") or sentence.rstrip("*_ ").endswith((":", "?"))
    return announces and len(sentence.split()) <= MAX_LEAD_WORDS and not any(map(str.isdigit, sentence))
