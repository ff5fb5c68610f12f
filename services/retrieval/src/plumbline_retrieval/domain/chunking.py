"""Cuts a document into passages along its own structure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise, takewhile
from typing import Final

from plumbline_models.text import sentences
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.document import Passage

BUDGET_TOKENS: Final = 220
"""The encoder sees 256; the rest is for title and headings and the two tokens that frame a text."""
MAX_HEADING_CHARACTERS: Final = 200
"""Kept of a heading with each passage below it."""
PAGE_BREAK: Final = "\f"

Offsets = Callable[[str], Sequence[tuple[int, int]]]
"""Where each token of a text lies."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How documents are cut."""

    offsets: Offsets
    """By the tokens of an encoder."""
    budget: int = BUDGET_TOKENS
    """The most tokens of a passage."""

    @property
    def overlap(self) -> int:
        """The longest sentence that two passages of one paragraph share, in tokens: 40 of 220."""
        return self.budget * 2 // 11

    @property
    def section(self) -> int:
        """A passage of so many tokens ends where the next section begins; a shorter one takes it in: 100 of 220."""
        return self.budget * 5 // 11


_LINE: Final = re.compile(r"[^\n\f]*(?:[\n\f]|\Z)")
_HEADING: Final = re.compile(r"\s*(#{1,6})\s(?=\s*[^\s#])")
_FENCE: Final = re.compile(r"\s*(```+|~~~+)")
_TABLE_ROW: Final = re.compile(r"\s*\|.*\|\s*")
_TABLE_RULE: Final = re.compile(r"\s*\|[\s:|-]+\|\s*")

Path = tuple[str, ...]


class _Kind(Enum):
    TEXT = "text"
    HEADING = "heading"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together."""

    start: int
    end: int
    kind: _Kind = _Kind.TEXT


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is kept whole."""

    start: int
    end: int
    tokens: int
    path: Path = ()
    is_heading: bool = False
    goes_on: bool = False
    """Whether the unit before is of the same paragraph."""
    header: str = ""
    """Of the table that the unit is a row of, unless it is the first."""


def cut(text: str, cutting: Cutting, layout: Layout = Layout.PROSE) -> list[Passage]:
    """Passages of at most the budget, each as many whole paragraphs as fit; none for a blank text.

    A heading goes with what follows it, and a passage of some length ends where a section does. A paragraph that is
    too long is cut between sentences, and the sentence before the cut is in both passages if it is short; a table,
    between rows, and each passage has its header. A sentence that is too long is cut between tokens. Of records each
    is a passage. Every character that is not white space is in a passage.
    """
    if layout is Layout.RECORDS:
        packed = [[unit] for block in _records(text) for unit in _units_of(text, block, cutting)]
    else:
        packed = _pack(_units(text, cutting), cutting)
    pages = _Pages(text)
    return [_passage(text, number, units, pages) for number, units in enumerate(packed)]


class _Pages:
    """Where the pages of a text begin."""

    def __init__(self, text: str) -> None:
        self._breaks = [match.start() for match in re.finditer(PAGE_BREAK, text)]
        self._passed = 0

    def of(self, start: int) -> int:
        """The 1-based page, 0 where there are none; asked in order."""
        while self._passed < len(self._breaks) and self._breaks[self._passed] < start:
            self._passed += 1
        return self._passed + 1 if self._breaks else 0


def _passage(text: str, number: int, units: Sequence[_Unit], pages: _Pages) -> Passage:
    start, end = units[0].start, units[-1].end
    body = text[start:end].replace(PAGE_BREAK, "\n")
    whole = f"{units[0].header}\n{body}" if units[0].header else body
    return Passage(number, start, end, whole, _common([unit.path for unit in units]), pages.of(start))


def _records(text: str) -> Iterator[_Block]:
    return (replace(block, kind=_Kind.TEXT) for block in _blocks(text, plain=True))


def _units(text: str, cutting: Cutting) -> Iterator[_Unit]:
    path: list[tuple[int, str]] = []
    for block in _blocks(text):
        if block.kind is _Kind.HEADING:
            level, title = _heading(text[block.start : block.end])
            path = [each for each in path if each[0] < level] + [(level, title)]
        titles = tuple(title for _, title in path)
        for unit in _units_of(text, block, cutting):
            yield replace(unit, path=titles)


def _units_of(text: str, block: _Block, cutting: Cutting) -> Iterator[_Unit]:
    piece = text[block.start : block.end]
    tokens = cutting.offsets(piece)
    if len(tokens) <= cutting.budget:
        short = len(tokens) <= cutting.overlap
        yield _Unit(block.start, block.end, len(tokens), is_heading=short and block.kind is _Kind.HEADING)
    elif block.kind is _Kind.TABLE:
        yield from _rows(piece, block.start, cutting)
    elif block.kind is _Kind.CODE:
        yield from _lines(piece, block.start, cutting)
    else:
        yield from _sentences(piece, block.start, cutting)


def _blocks(text: str, *, plain: bool = False) -> Iterator[_Block]:
    """Paragraphs, headings, tables and fenced code; of a *plain* text, what lies between empty lines."""
    start, end, kind, fence = 0, 0, _Kind.TEXT, ""
    for match in _LINE.finditer(text):
        line = match[0]
        if fence:  # within code nothing else counts
            end = match.end()
            fence = "" if line.strip().startswith(fence) else fence
            continue
        is_blank = not line.strip()
        of_line = _Kind.TEXT if plain or is_blank else _kind(line)
        if is_blank or of_line is not kind or of_line is _Kind.HEADING:
            if start < end:
                yield _trimmed_block(text, start, end, kind)
            start, kind = match.start(), of_line
        if is_blank:
            start = end = match.end()
            continue
        if of_line is _Kind.CODE:
            fence = line.strip()[:3]
        end = match.end()
        if line.endswith(PAGE_BREAK):
            yield _trimmed_block(text, start, end, kind)
            start = end
    if start < end:
        yield _trimmed_block(text, start, end, kind)


def _kind(line: str) -> _Kind:
    if _HEADING.match(line):
        return _Kind.HEADING
    if _FENCE.match(line):
        return _Kind.CODE
    return _Kind.TABLE if _TABLE_ROW.fullmatch(line) else _Kind.TEXT


def _sentences(block: str, at: int, cutting: Cutting) -> Iterator[_Unit]:
    """The sentences of a *block* that lies *at* a place of the document."""
    for number, span in enumerate(sentences(block)):
        sentence = span.of(block)
        tokens = cutting.offsets(sentence)
        if len(tokens) <= cutting.budget:
            yield _Unit(at + span.start, at + span.end, len(tokens), goes_on=number > 0)
        else:
            yield from _parts(sentence, at + span.start, tokens, cutting)


def _rows(table: str, at: int, cutting: Cutting) -> Iterator[_Unit]:
    """The rows of a *table*, each but those of the header under it."""
    lines = list(_spans(table))
    has_header = len(lines) > 1 and _TABLE_RULE.fullmatch(table[slice(*lines[1])])
    header = table[lines[0][0] : lines[1][1]] if has_header else ""
    header_tokens = len(cutting.offsets(header))
    if header_tokens > cutting.budget // 2:
        header, header_tokens = "", 0
    for number, (start, end) in enumerate(lines):
        tokens = cutting.offsets(table[start:end])
        below = header if number > 1 else ""
        if len(tokens) + header_tokens <= cutting.budget:
            yield _Unit(at + start, at + end, len(tokens), header=below)
        else:
            yield from _parts(table[start:end], at + start, tokens, cutting)


def _lines(code: str, at: int, cutting: Cutting) -> Iterator[_Unit]:
    for start, end in _spans(code):
        tokens = cutting.offsets(code[start:end])
        if len(tokens) <= cutting.budget:
            yield _Unit(at + start, at + end, len(tokens))
        else:
            yield from _parts(code[start:end], at + start, tokens, cutting)


def _spans(block: str) -> Iterator[tuple[int, int]]:
    """The lines of a block that are not blank."""
    for match in _LINE.finditer(block):
        if match[0].strip():
            yield _trimmed(block, match.start(), match.end())


def _parts(sentence: str, at: int, tokens: Sequence[tuple[int, int]], cutting: Cutting) -> Iterator[_Unit]:
    """A *sentence* that is too long, cut where a token begins."""
    cuts = [0, *(tokens[n][0] for n in range(cutting.budget, len(tokens), cutting.budget)), len(sentence)]
    for start, end in pairwise(cuts):
        if sentence[start:end].strip():
            first, last = _trimmed(sentence, start, end)
            yield _Unit(at + first, at + last, cutting.budget)


def _pack(units: Iterator[_Unit], cutting: Cutting) -> list[list[_Unit]]:
    packed: list[list[_Unit]] = []
    for unit in units:
        if packed and _fits(packed[-1], unit, cutting):
            packed[-1].append(unit)
        else:
            packed.append([*_lead(packed, unit, cutting), unit])
    return [passage for passage in packed if passage]


def _fits(passage: Sequence[_Unit], unit: _Unit, cutting: Cutting) -> bool:
    tokens = _tokens(passage)
    ends_here = unit.is_heading and tokens >= cutting.section and not passage[-1].is_heading
    return not ends_here and tokens + unit.tokens <= cutting.budget


def _lead(packed: list[list[_Unit]], unit: _Unit, cutting: Cutting) -> list[_Unit]:
    """What a passage has before *unit*: headings, taken from the passage before, or that one's last sentence."""
    before = packed[-1] if packed else []
    headings = list(takewhile(lambda each: each.is_heading, reversed(before)))[::-1]
    if headings and not unit.header and _tokens(headings) + unit.tokens <= cutting.budget:
        del before[-len(headings) :]
        return headings
    last = before[-1] if before else None
    if last is None or not unit.goes_on or last.tokens > cutting.overlap:
        return []
    return [last] if last.tokens + unit.tokens <= cutting.budget else []


def _tokens(units: Sequence[_Unit]) -> int:
    return sum(unit.tokens for unit in units) + _header_tokens(units)


def _header_tokens(units: Sequence[_Unit]) -> int:
    # A word is two tokens at most times: counted once a passage, so a guess on the safe side is enough.
    return 2 * len(units[0].header.split()) if units and units[0].header else 0


def _common(paths: Sequence[Path]) -> Path:
    first = paths[0]
    shared = len(first)
    for path in paths[1:]:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, path, strict=False)))
        shared = min(shared, same)
    return first[:shared]


def _heading(line: str) -> tuple[int, str]:
    match = _HEADING.match(line)
    if match is None:
        return 1, line.strip()[:MAX_HEADING_CHARACTERS]
    return len(match[1]), line[match.end() :].strip().rstrip("#").rstrip()[:MAX_HEADING_CHARACTERS]


def _trimmed_block(text: str, start: int, end: int, kind: _Kind) -> _Block:
    return _Block(*_trimmed(text, start, end), kind)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
