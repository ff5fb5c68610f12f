"""Which passages each sentence of an answer rests on. The model is not trusted with this: words are counted."""

from collections.abc import Sequence

from plumbline_generation.domain.answer import Claim, Passage
from plumbline_generation.domain.markers import Mark
from plumbline_models.support import Support, assess
from plumbline_models.text import Span, sentences


def cite(text: str, marks: Sequence[Mark], sources: Sequence[Passage], minimum: float) -> tuple[Claim, ...]:
    """One claim a sentence.

    A source supports a sentence from *minimum* of its content words on, if it also holds its numbers and names. Cited
    are the sources that hold most of it, and first those that the model marked and that do support it.
    """
    spans = sentences(text)
    marked = _by_sentence(spans, marks)
    return tuple(
        _claim(span, [assess(span.of(text), source.evidence) for source in sources], marked[index], minimum)
        for index, span in enumerate(spans)
    )


def _claim(span: Span, found: Sequence[Support], marked: Sequence[int], minimum: float) -> Claim:
    best = max((support.score for support in found), default=0.0)
    supporting = {
        number: support.score
        for number, support in enumerate(found, start=1)
        if support.score >= minimum and not support.missing_names
    }
    most = max(supporting.values(), default=0.0)
    own = [number for number in dict.fromkeys(marked) if number in supporting]
    others = [number for number, score in supporting.items() if score == most and number not in own]
    return Claim(span.start, span.end, (*own, *others), best)


def _by_sentence(spans: Sequence[Span], marks: Sequence[Mark]) -> list[list[int]]:
    """The numbers marked in each sentence; a mark belongs to the last sentence that begins before it."""
    numbers: list[list[int]] = [[] for _ in spans]
    for mark in marks:
        before = sum(span.start < mark.position for span in spans)
        if spans:
            numbers[max(0, before - 1)].append(mark.number)
    return numbers
