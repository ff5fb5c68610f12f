"""Which passages a sentence of an answer rests on. The model is not trusted with this: words are counted."""

from collections.abc import Sequence
from typing import Final

from plumbline_generation.domain.answer import Claim, ClaimStatus, Evidence, Passage
from plumbline_guards.placeholders import without_placeholders
from plumbline_models.checking import Checked, SentenceCheck, Standing, sentences_to_check
from plumbline_models.evidence import Source
from plumbline_models.text import Span

_WITHOUT_SOURCE: Final = {
    Standing.UNSUPPORTED: ClaimStatus.UNSUPPORTED,
    Standing.NOT_CHECKED: ClaimStatus.NOT_CHECKED,
    Standing.NO_CLAIM: ClaimStatus.NO_CLAIM,
}


class Checker:
    """Checks sentences against the sources of one answer."""

    def __init__(self, sources: Sequence[Passage], minimum: float, own: Sequence[str] = ()) -> None:
        """See `SentenceCheck`. Of what the caller gave, *own*, no source is asked, nor of a placeholder's name."""
        self._own = tuple(own)
        self._sources = tuple(sources)
        self._check = SentenceCheck([Source(source.title, source.text) for source in sources], minimum)

    def check(self, text: str, span: Span, marked: Sequence[int]) -> Claim:
        """The sentence at *span*, which the model marked with those numbers.

        Cited are first those that it marked and that do support it, then the sources that hold most of it.
        """
        checked = self._check(self._without_own(span.of(text)))
        if status := _WITHOUT_SOURCE.get(checked.standing):
            return Claim(span.start, span.end, (), checked.best, status)
        own, others = _cited(checked, marked)
        status = ClaimStatus.SUPPORTED if own else ClaimStatus.REPAIRED if marked else ClaimStatus.ATTRIBUTED
        return Claim(span.start, span.end, (*own, *others), checked.best, status, self._evidence(checked, own + others))

    def _without_own(self, sentence: str) -> str:
        for value in self._own:
            sentence = sentence.replace(value, "")
        return without_placeholders(sentence)

    def _evidence(self, checked: Checked, numbers: Sequence[int]) -> tuple[Evidence, ...]:
        return tuple(
            place
            for number in numbers
            for place in _placed(number, self._sources[number - 1], checked.held[number - 1].evidence)
        )


def cite(text: str, checker: Checker) -> tuple[Claim, ...]:
    """One claim a sentence of a text that no model wrote."""
    return tuple(checker.check(text, span, ()) for span in sentences_to_check(text))


def _cited(checked: Checked, marked: Sequence[int]) -> tuple[list[int], list[int]]:
    """The 1-based numbers of the supporting sources that the model marked, and of the others that hold most."""
    scores = {index + 1: held.score for index, held in checked.held.items()}
    most = max(scores.values())
    own = [number for number in dict.fromkeys(marked) if number in scores]
    return own, [number for number, score in scores.items() if score == most and number not in own]


def _placed(number: int, passage: Passage, spans: Sequence[Span]) -> tuple[Evidence, ...]:
    """Where *spans* of the passage stand in its document."""
    if passage.end - passage.start != len(passage.text):  # rows of a table with its header before them
        return (Evidence(number, passage.start, passage.end),)
    return tuple(Evidence(number, passage.start + span.start, passage.start + span.end) for span in spans)
