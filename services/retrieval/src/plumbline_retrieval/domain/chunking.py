"""Cuts a document into passages along its own structure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from plumbline_models.text import sentences
from plumbline_retrieval.domain.document import Passage

BUDGET_TOKENS: Final = 220
"""The encoder sees 256; the rest is for the title and the two tokens that frame a text."""
OVERLAP_TOKENS: Final = 40
"""The longest sentence that two passages of one paragraph share."""

Offsets = Callable[[str], Sequence[tuple[int, int]]]
"""Where each token of a text lies."""

_BREAK: Final = re.compile(r"\n[^\S\n]*\n|\n(?=[^\S\n]*#{1,6}\s)")
_HEADING: Final = re.compile(r"#{1,6}\s[^\n]*")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is kept whole."""

    start: int
    end: int
    tokens: int
    is_heading: bool = False
    goes_on: bool = False
    """Whether the unit before is of the same paragraph."""


def cut(text: str, offsets: Offsets) -> list[Passage]:
    """Passages of at most BUDGET_TOKENS, each as many whole paragraphs as fit; none for a blank text.

    A heading goes with what follows it. A paragraph that is too long is cut between sentences, and the sentence
    before the cut is in both passages if it is short. A sentence that is too long is cut between tokens. Every
    character that is not white space is in a passage.
    """
    spans = [(units[0].start, units[-1].end) for units in _pack(_units(text, offsets))]
    return [Passage(number, start, end, text[start:end]) for number, (start, end) in enumerate(spans)]


def _units(text: str, offsets: Offsets) -> Iterator[_Unit]:
    for start, end in _blocks(text):
        block = text[start:end]
        tokens = len(offsets(block))
        if tokens <= BUDGET_TOKENS:
            yield _Unit(start, end, tokens, _is_heading(block, tokens))
        else:
            yield from _sentences(block, start, offsets)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end, following in [*(match.span() for match in _BREAK.finditer(text)), (len(text), len(text))]:
        if text[start:end].strip():
            yield _trimmed(text, start, end)
        start = following


def _sentences(block: str, at: int, offsets: Offsets) -> Iterator[_Unit]:
    """The sentences of a *block* that lies *at* a place of the document."""
    for number, span in enumerate(sentences(block)):
        sentence = span.of(block)
        tokens = offsets(sentence)
        if len(tokens) <= BUDGET_TOKENS:
            heading = _is_heading(sentence, len(tokens))
            yield _Unit(at + span.start, at + span.end, len(tokens), heading, goes_on=number > 0)
        else:
            yield from _parts(sentence, at + span.start, tokens)


def _parts(sentence: str, at: int, tokens: Sequence[tuple[int, int]]) -> Iterator[_Unit]:
    """A *sentence* that is too long, cut where a token begins."""
    cuts = [0, *(tokens[n][0] for n in range(BUDGET_TOKENS, len(tokens), BUDGET_TOKENS)), len(sentence)]
    for start, end in pairwise(cuts):
        if sentence[start:end].strip():
            first, last = _trimmed(sentence, start, end)
            yield _Unit(at + first, at + last, BUDGET_TOKENS)


def _pack(units: Iterator[_Unit]) -> list[list[_Unit]]:
    packed: list[list[_Unit]] = []
    for unit in units:
        if packed and _tokens(packed[-1]) + unit.tokens <= BUDGET_TOKENS:
            packed[-1].append(unit)
        else:
            packed.append([*_lead(packed, unit), unit])
    return [passage for passage in packed if passage]


def _lead(packed: list[list[_Unit]], unit: _Unit) -> list[_Unit]:
    """What a passage has before *unit*: a heading, taken from the passage before, or that one's last sentence."""
    last = packed[-1][-1] if packed else None
    if last is None or last.tokens + unit.tokens > BUDGET_TOKENS:
        return []
    if last.is_heading:
        return [packed[-1].pop()]
    return [last] if unit.goes_on and last.tokens <= OVERLAP_TOKENS else []


def _tokens(units: Sequence[_Unit]) -> int:
    return sum(unit.tokens for unit in units)


def _is_heading(text: str, tokens: int) -> bool:
    return tokens <= OVERLAP_TOKENS and _HEADING.fullmatch(text) is not None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
