"""Reads DOCX: paragraphs, headings, lists and tables in their order, as Markdown.

By the XML itself: python-docx inflates every picture and leaves out what content controls and tracked insertions hold.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plumbline_retrieval.adapters.reading.archive import Archive
from plumbline_retrieval.adapters.reading.extract import Extract, refused
from plumbline_retrieval.adapters.reading.markdown import table
from plumbline_retrieval.adapters.reading.text import first_heading

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_HEADING_NAME: Final = re.compile(r"heading (\d)", re.IGNORECASE)
_LIST_NAME: Final = re.compile(r"list (?:bullet|number)", re.IGNORECASE)
_BODY_TEXT_LEVEL: Final = 9
_MAX_LEVEL: Final = 6
_BREAKS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_SKIPPED: Final = frozenset({"Fallback", "del", "moveFrom", "instrText", "pPr", "rPr", "tblPr", "sdtPr"})
"""The second form of a drawing, deleted text, the code of fields, and how things look."""
_MAX_BASED_ON: Final = 10


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph's style makes of it."""

    level: int = 0
    """Of the heading; 0 is none."""
    listed: bool = False


@dataclass(slots=True)
class _Block:
    """A piece of Markdown; items of a list stand close together."""

    text: str
    listed: bool = False


def read_docx(data: bytes) -> Extract:
    """The body and the notes below it; the title is the properties', else the first heading."""
    archive = Archive(data)
    document = archive.xml("word/document.xml")
    body = _child(document, "body")
    if body is None:
        raise refused("is a DOCX without a body: open it, save it again and send that")
    styles = _styles(archive.xml("word/styles.xml"))
    text = _joined([*_blocks(body, styles), *_footnotes(archive, styles)])
    return Extract(text, _title(archive.xml("docProps/core.xml")) or first_heading(text))


def _blocks(parent: "Element", styles: Mapping[str, _Style]) -> Iterator[_Block]:
    for element in parent:
        match _name(element):
            case "p":
                yield _paragraph(element, styles)
            case "tbl":
                yield _Block(_table(element))
            case name if name not in _SKIPPED:  # content controls, insertions and the like hold paragraphs, too
                yield from _blocks(element, styles)


def _paragraph(paragraph: "Element", styles: Mapping[str, _Style]) -> _Block:
    text = "".join(_pieces(paragraph)).strip()
    properties = _child(paragraph, "pPr")
    style = styles.get(_value(_child(properties, "pStyle")), _Style())
    numbering = _child(properties, "numPr")
    level = _outline_level(properties) or style.level
    if text and level:
        return _Block(f"{'#' * min(level, _MAX_LEVEL)} {' '.join(text.split())}")
    if text and (style.listed if numbering is None else _is_numbered(numbering)):
        depth = _value(_child(numbering, "ilvl"))
        indent = "  " * (int(depth) if depth.isdecimal() else 0)
        return _Block(f"{indent}- {text}".replace("\n", f"\n{indent}  "), listed=True)
    return _Block(text)


def _pieces(element: "Element") -> Iterator[str]:
    """The text of a paragraph as it would be printed."""
    for child in element:
        name = _name(child)
        if name == "t":
            yield child.text or ""
        elif name in _BREAKS:
            yield _BREAKS[name]
        elif name not in _SKIPPED:
            yield from _pieces(child)
            yield "\n" if name == "p" else ""  # of a text box


def _table(element: "Element") -> str:
    return table([[_cell(cell) for cell in _cells(row)] for row in _within(element, "tr")])


def _cells(row: "Element") -> Iterator["Element | None"]:
    """The row's cells; one that spans several columns is followed by empty ones."""
    for cell in _within(row, "tc"):
        yield cell
        span = _value(_child(_child(cell, "tcPr"), "gridSpan"))
        yield from [None] * (min(int(span), 100) - 1 if span.isdecimal() else 0)


def _cell(cell: "Element | None") -> str:
    return "" if cell is None else " ".join("".join(_pieces(cell)).split())


def _within(element: "Element", name: str) -> Iterator["Element"]:
    """The elements *name* right below, or in a content control that is."""
    for child in element:
        found = _name(child)
        if found == name:
            yield child
        elif found in ("sdt", "sdtContent", "customXml", "ins"):
            yield from _within(child, name)


def _footnotes(archive: Archive, styles: Mapping[str, _Style]) -> Iterator[_Block]:
    for part in ("word/footnotes.xml", "word/endnotes.xml"):
        root = archive.xml(part)
        for note in () if root is None else root:
            if _attribute(note, "type") in ("", "normal"):  # the others are the lines above the notes
                yield from _blocks(note, styles)


def _joined(blocks: Iterable[_Block]) -> str:
    text, listed = "", False
    for block in blocks:
        if block.text.strip():
            text += ("\n" if listed and block.listed else "\n\n") + block.text
            listed = block.listed
    return text.strip("\n")


def _styles(root: "Element | None") -> dict[str, _Style]:
    elements = [] if root is None else [each for each in root if _name(each) == "style"]
    by_id = {_attribute(each, "styleId"): each for each in elements}
    return {each: _style(each, by_id) for each in by_id}


def _style(style_id: str, by_id: Mapping[str, "Element"]) -> _Style:
    """What the style says, or the first that does of those it is based on."""
    if _value(_child(by_id[style_id], "name")).lower() == "title":  # which authors and dates are based on
        return _Style(level=1)
    listed = False
    for _ in range(_MAX_BASED_ON):
        element = by_id.get(style_id)
        if element is None:
            break
        properties = _child(element, "pPr")
        name = _value(_child(element, "name"))
        listed = listed or _child(properties, "numPr") is not None or _LIST_NAME.match(name) is not None
        if level := _outline_level(properties) or _named_level(name):
            return _Style(level)
        style_id = _value(_child(element, "basedOn"))
    return _Style(listed=listed)


def _named_level(name: str) -> int:
    found = _HEADING_NAME.fullmatch(name)
    return int(found[1]) if found else 0


def _outline_level(properties: "Element | None") -> int:
    """1 for the highest; 0 for text that is no heading."""
    value = _value(_child(properties, "outlineLvl"))
    return int(value) + 1 if value.isdecimal() and int(value) < _BODY_TEXT_LEVEL else 0


def _is_numbered(numbering: "Element") -> bool:
    return _value(_child(numbering, "numId")) != "0"  # which takes a paragraph out of its style's list


def _title(properties: "Element | None") -> str:
    title = _child(properties, "title")
    return "" if title is None else (title.text or "").strip()


def _child(element: "Element | None", name: str) -> "Element | None":
    if element is None:
        return None
    return next((child for child in element if _name(child) == name), None)


def _value(element: "Element | None") -> str:
    return "" if element is None else _attribute(element, "val")


def _attribute(element: "Element", name: str) -> str:
    return next((str(value) for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), "")


def _name(element: "Element") -> str:
    """Without its namespace, of which there are two for the same words; nothing for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
