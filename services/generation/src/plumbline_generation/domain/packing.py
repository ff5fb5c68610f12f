"""Which passages the model reads, how much of each, and in which order."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from plumbline_generation.domain.answer import Block, Passage
from plumbline_models.evidence import DENIALS
from plumbline_models.text import content_words, is_number, sentences

Offsets = Callable[[str], list[tuple[int, int]]]
"""Where each token of a text lies, in code points, end exclusive."""

FRAME_TOKENS: Final = 6
"""What the number, the marks and the line end around one passage take, where the template does not say."""
LEAST_TOKENS: Final = 16
"""The first passage keeps so many tokens, whatever its title takes."""
GAP_CHARACTERS: Final = 3
"""Between neighbours lies an empty line at most."""
ALIKE: Final = 0.9
"""The share of words from which on a passage that adds none is a copy (Jaccard index)."""


class Order(Enum):
    """Of the passages in the prompt."""

    BEST_FIRST = "best_first"
    BEST_AT_ENDS = "best_at_ends"
    """The best first, the second best last, the least good in the middle (Liu et al., 2023)."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What the model reads."""

    sources: tuple[Passage, ...] = ()
    """Number n is sources[n - 1]; the best first, each with its whole text."""
    blocks: tuple[Block, ...] = ()
    """In the order of the prompt."""


def pack(
    passages: Iterable[Passage],
    budget: int,
    offsets: Offsets,
    *,
    frame: int = FRAME_TOKENS,
    order: Order = Order.BEST_FIRST,
) -> Packed:
    """The best of *passages*, which come best first, within *budget* tokens.

    One that adds nothing to a better one is left out, as is one without text. Neighbours and overlapping passages of
    one document's version become one block. The passage that does not fit is cut at the end of a sentence, and nothing
    comes after it. The first always enters, cut inside its first sentence if need be. *frame* is what a template puts
    around each passage, in tokens.
    """
    packer = _Packer(budget, offsets, frame)
    for passage in distinct(passages):
        if not packer.take(passage):
            break
    return packer.packed(order)


def distinct(passages: Iterable[Passage]) -> Iterator[Passage]:
    """*passages* that have a text and do not only repeat a better one. Those that nobody asks for are not looked at."""
    kept: list[_Words] = []
    for passage in passages:
        words = _Words.of(passage)
        if passage.text.strip() and not any(map(words.repeat, kept)):
            kept.append(words)
            yield passage


@dataclass(frozen=True, slots=True)
class _Words:
    """What a passage says, as far as words tell."""

    stems: frozenset[str]
    telling: tuple[str, ...]
    """Numbers and denials, in their order."""

    @classmethod
    def of(cls, passage: Passage) -> "_Words":
        words = content_words(passage.evidence)
        return cls(frozenset(words), tuple(word for word in words if is_number(word) or word in DENIALS))

    def repeat(self, others: "_Words") -> bool:
        """Whether they say nothing that the *others* do not."""
        alike = self.stems <= others.stems and len(self.stems) >= ALIKE * len(others.stems)
        return alike and self.telling == others.telling


@dataclass(frozen=True, slots=True)
class _Piece:
    """A source and what of it is read."""

    number: int
    passage: Passage
    text: str


class _Packer:
    """Takes passages until one does not fit."""

    def __init__(self, budget: int, offsets: Offsets, frame: int) -> None:
        self._budget = budget
        self._offsets = offsets
        self._frame = frame
        self._counts: dict[str, int] = {}
        self._pieces: list[_Piece] = []
        self._blocks: list[Block] = []

    def take(self, passage: Passage) -> bool:
        """Whether it went in whole, so that another may."""
        piece = _Piece(len(self._pieces) + 1, passage, passage.text)
        if self._accept(piece):
            return True
        room = self._budget - self._spent() - self._frame - self._count(passage.title)
        tokens = self._offsets(passage.text)
        text = _cut(passage.text, tokens, room, first=not self._pieces)
        if text:  # a block of its own: between two that are joined it would part them
            piece = replace(piece, text=text)
            self._counts[text] = sum(end <= len(text) for _, end in tokens)  # it ends where one of them does
            self._pieces.append(piece)
            self._blocks = [*self._blocks, self._block([piece])]
        return False

    def packed(self, order: Order) -> Packed:
        """What was taken."""
        ranked = sorted(self._blocks, key=lambda block: block.numbers[0])
        if order is Order.BEST_AT_ENDS:
            ranked = [*ranked[::2], *ranked[1::2][::-1]]
        return Packed(tuple(piece.passage for piece in self._pieces), tuple(ranked))

    def _accept(self, piece: _Piece) -> bool:
        blocks = [self._block(group) for group in _neighbours([*self._pieces, piece])]
        if sum(block.tokens for block in blocks) > self._budget:
            return False
        self._pieces.append(piece)
        self._blocks = blocks
        return True

    def _spent(self) -> int:
        return sum(block.tokens for block in self._blocks)

    def _block(self, group: Sequence[_Piece]) -> Block:
        text = _joined(group)
        numbers = tuple(sorted(piece.number for piece in group))
        best = min(group, key=lambda piece: piece.number).passage
        tokens = self._frame + self._count(best.title) + self._count(text)
        section = " > ".join(best.provenance.title_path)
        cut = group[0].text != group[0].passage.text
        return Block(numbers, best.title.strip(), section, text, tokens, cut)

    def _count(self, text: str) -> int:
        if text not in self._counts:
            self._counts[text] = len(self._offsets(text))
        return self._counts[text]


def _neighbours(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """*pieces* in groups that read on, each in the order of its document."""
    groups: list[list[_Piece]] = []
    for piece in sorted(pieces, key=_place):
        if groups and _reads_on(groups[-1][-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _place(piece: _Piece) -> tuple[str, int, int, int]:
    passage = piece.passage
    return passage.ref.document_id, passage.ref.version, passage.start, passage.end


def _reads_on(before: _Piece, after: _Piece) -> bool:
    """Whether the one goes on where the other ends, or within it. Offsets that do not fit the texts join nothing."""
    one, other = before.passage, after.passage
    if (one.ref.document_id, one.ref.version) != (other.ref.document_id, other.ref.version):
        return False
    if one.title != other.title or min(_lead(one), _lead(other)) < 0 or not one.start < one.end < other.end:
        return False
    if other.text[: _lead(other)].strip() not in one.text:
        return False
    shared = one.end - other.start
    if shared <= 0:
        return shared >= -GAP_CHARACTERS
    return one.text.endswith(other.text[_lead(other) : _lead(other) + shared])


def _lead(passage: Passage) -> int:
    """How much of the text stands before what lies in the document: a table's header above its rows."""
    return len(passage.text) - (passage.end - passage.start)


def _joined(group: Sequence[_Piece]) -> str:
    text = group[0].text
    for before, after in itertools.pairwise(group):
        shared = before.passage.end - after.passage.start
        text += ("\n" if shared < 0 else "") + after.text[_lead(after.passage) + max(0, shared) :]
    return text


def _cut(text: str, tokens: Sequence[tuple[int, int]], room: int, *, first: bool) -> str:
    """The longest run of whole sentences that fits, which may be none."""
    room = max(room, LEAST_TOKENS) if first else room
    if room <= 0 or not tokens:
        return ""
    limit = tokens[:room][-1][1]
    ends = [span.end for span in sentences(text) if span.end <= limit]
    return text[: ends[-1]] if ends else text[:limit] if first else ""
