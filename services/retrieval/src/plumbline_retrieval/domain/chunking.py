"""Cuts a document into passages along its own structure."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from plumbline_models.text import Span, sentences
from plumbline_retrieval.domain.document import Passage

BUDGET_TOKENS: Final = 220
"""The encoder sees 256; the rest is for the title and the two tokens that frame a text."""

Offsets = Callable[[str], Sequence[tuple[int, int]]]
"""Where each token of a text lies."""

_BLOCK: Final = re.compile(r"\S(?:.*?\S)??(?=[^\S\n]*(?:\n[^\S\n]*\n|\n[^\S\n]*(?=#{1,6}\s)|\s*\Z))", re.DOTALL)
_HEADING: Final = re.compile(r"#{1,6}\s[^\n]*\Z")


def cut(text: str, offsets: Offsets) -> list[Passage]:
    """Passages of at most BUDGET_TOKENS, each as many whole paragraphs as fit; none for a blank text.

    A heading stays with what follows it. A paragraph that is too long is cut between sentences, a sentence
    between tokens. Every character that is not white space is in a passage.
    """
    spans = _pack(text, list(_units(text, offsets)), offsets)
    return [Passage(n, span.start, span.end, text[span.start : span.end]) for n, span in enumerate(spans)]


def _units(text: str, offsets: Offsets) -> Iterator[Span]:
    """The smallest pieces that are kept whole, in order."""
    for block in _BLOCK.finditer(text):
        if len(offsets(block.group())) <= BUDGET_TOKENS:
            yield Span(*block.span())
        else:
            yield from _split(text, Span(*block.span()), offsets)


def _split(text: str, block: Span, offsets: Offsets) -> Iterator[Span]:
    for sentence in sentences(text[block.start : block.end]):
        start, end = block.start + sentence.start, block.start + sentence.end
        tokens = offsets(text[start:end])
        for first in range(0, max(len(tokens), 1), BUDGET_TOKENS):
            rest = tokens[first : first + BUDGET_TOKENS]
            whole = len(tokens) <= BUDGET_TOKENS
            yield Span(start, end) if whole else Span(start + rest[0][0], start + rest[-1][1])


def _pack(text: str, units: Sequence[Span], offsets: Offsets) -> list[Span]:
    packed: list[Span] = []
    used = 0
    for unit in units:
        tokens = len(offsets(text[unit.start : unit.end]))
        if packed and used + tokens <= BUDGET_TOKENS:
            packed[-1] = Span(packed[-1].start, unit.end)
            used += tokens
        else:
            unit = _with_heading(text, packed, unit)
            packed.append(unit)
            used = len(offsets(text[unit.start : unit.end]))
    return packed


def _with_heading(text: str, packed: list[Span], unit: Span) -> Span:
    """*unit* with the heading that the passage before it would end with."""
    if not packed:
        return unit
    last = packed[-1]
    heading = _HEADING.search(text, last.start, last.end)
    if heading is None:
        return unit
    before = text[last.start : heading.start()].rstrip()
    if before:
        packed[-1] = Span(last.start, last.start + len(before))
    else:
        packed.pop()
    return Span(heading.start(), unit.end)
