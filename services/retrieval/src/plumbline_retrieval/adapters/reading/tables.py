"""Reads CSV and TSV: every row becomes a record that carries the header's names."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final

from plumbline_retrieval.adapters.reading.extract import Extract, listed, refused
from plumbline_retrieval.adapters.reading.records import blocks, record
from plumbline_retrieval.adapters.reading.text import decode
from plumbline_retrieval.domain.content import Layout

_DELIMITERS: Final = ",;\t|"
_SAMPLE_ROWS: Final = 50
_NUMBER: Final = re.compile(r"[-+(]?[$€£]?\s*\d[\d.,' ]*\s*[%€$]?\)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""How a spreadsheet is told the delimiter."""

Row = tuple[int, list[str]]
"""Its number as a spreadsheet shows it, and its cells."""


def read_csv(data: bytes) -> Extract:
    """A table with whichever delimiter makes its rows equally long."""
    text, notes = decode(data)
    told = _SEPARATOR_LINE.match(text)
    if told:
        return _read(text[told.end() :], told[1], notes, first=2)
    return _read(text, _delimiter(text), notes)


def read_tsv(data: bytes) -> Extract:
    """A table with tabs; one that has none is taken for CSV."""
    text, notes = decode(data)
    return _read(text, "\t" if "\t" in text else _delimiter(text), notes)


def _read(text: str, delimiter: str, notes: tuple[str, ...], first: int = 1) -> Extract:
    rows = [(number, row) for number, row in _rows(text, delimiter, first) if any(cell.strip() for cell in row)]
    if not rows:
        raise refused("holds a table without a filled cell: fill it and send it again")
    header, body, guess = _header(rows)
    records = blocks(record(zip(_names(header, len(cells)), cells, strict=True)) for _, cells in body)
    return Extract(records, layout=Layout.RECORDS, notes=(*notes, *guess, *_ragged(header, body)))


def _rows(text: str, delimiter: str, first: int) -> list[Row]:
    lines = text.splitlines(keepends=True)
    try:
        return list(enumerate(csv.reader(lines, delimiter=delimiter), start=first))
    except csv.Error as error:
        raise refused(f"is no table ({error}): look for a quotation mark that is not closed") from error


def _delimiter(text: str) -> str:
    """The delimiter that gives most of the first rows the same number of cells, and many.

    csv.Sniffer guesses from character counts, which commas in prose defeat, and fails on a single column.
    """
    lines = text.splitlines(keepends=True)

    def evenness(delimiter: str) -> tuple[float, int]:
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            widths = Counter(len(row) for row in islice(rows, _SAMPLE_ROWS) if row)
        except csv.Error:
            return 0, 0
        width, rows_of_width = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
        return (rows_of_width / widths.total(), width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=evenness)


def _header(rows: Sequence[Row]) -> tuple[list[str], Sequence[Row], tuple[str, ...]]:
    """The columns' names, the rows below, and a note where there are no names.

    A header names things, so that a number in the first row speaks against one; only years are names, too.
    """
    first = [cell.strip() for cell in rows[0][1]]
    if len(rows) > 1 and all(_YEAR.fullmatch(cell) or not _NUMBER.fullmatch(cell) for cell in first):
        return first, rows[1:], ()
    names = [f"column {number}" for number in range(1, len(first) + 1)]
    return names, rows, ("no header was found, the columns are numbered",)


def _names(header: Sequence[str], width: int) -> list[str]:
    return [*header, *[""] * width][:width]


def _ragged(header: Sequence[str], body: Sequence[Row]) -> tuple[str, ...]:
    odd = [(number, len(cells)) for number, cells in body if len(cells) != len(header)]
    if not odd:
        return ()
    if len(odd) == 1:
        number, cells = odd[0]
        return (f"row {number} has {_cells(cells)}, the header {len(header)}",)
    return (f"rows {listed([number for number, _ in odd])} have more or fewer cells than the header's {len(header)}",)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
