"""Files and what is sent of each: the file itself, or the documents that a .jsonl file lists."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SUFFIXES: Final = (".md", ".txt", ".html", ".htm", ".pdf", ".docx", ".csv", ".tsv", ".json", ".jsonl")
"""What a folder is searched for; retrieval reads them."""


class Unreadable(Exception):
    """A file or a line of one holds no document; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the id that its document gets."""

    path: Path
    document_id: str


@dataclass(frozen=True, slots=True)
class Document:
    """A line of a .jsonl file that is a document."""

    id: str
    title: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One place in the files and what is sent of it, or the reason why nothing is."""

    place: str
    found: Source | Document | Unreadable


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Every file named, and every readable file below every folder named, hidden ones left out, in order."""
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                relative = file.relative_to(path)
                hidden = any(part.startswith(".") for part in relative.parts)
                if file.is_file() and file.suffix.lower() in SUFFIXES and not hidden:
                    yield Source(file, relative.as_posix())
        else:
            yield Source(path, path.name)


def read(source: Source) -> Iterator[Item]:
    """What the file holds: itself, or the documents of a .jsonl file whose first line is one. Raises nothing."""
    place = str(source.path)
    try:
        if source.path.suffix.lower() == ".jsonl" and _lists_documents(source.path):
            yield from _read_lines(source.path)
        else:
            with source.path.open("rb"):  # a file that cannot be opened is reported like any other
                yield Item(place, source)
    except OSError as error:
        yield Item(place, Unreadable((error.strerror or str(error)).lower()))


def _lists_documents(path: Path) -> bool:
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                try:
                    first = json.loads(line)
                except ValueError:
                    return False
                return isinstance(first, dict) and {"id", "text"} <= first.keys()
    return False


def _read_lines(path: Path) -> Iterator[Item]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _read_line(f"{path}:{number}", line)


def _read_line(place: str, line: bytes) -> Item:
    try:
        return Item(place, _from_json(line))
    except Unreadable as error:
        return Item(place, error)


def _from_json(line: bytes) -> Document:
    try:
        content = json.loads(line)
    except ValueError as error:  # no JSON, or no text
        raise Unreadable(f"this is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Unreadable("a line must be an object with id, title, text and url")
    document_id = _field(content, "id", required=True)
    title = _field(content, "title") or document_id
    return Document(document_id, title, _field(content, "text", required=True), _field(content, "url"))


def _field(content: dict[str, Any], name: str, *, required: bool = False) -> str:
    value = content.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise Unreadable(f"{name} must be a text" if value else f"{name} is missing")
    return value
