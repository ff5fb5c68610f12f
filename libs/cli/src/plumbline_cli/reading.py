"""Files as documents: what can be read, what each becomes, and why one cannot."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAX_TEXT_BYTES: Final = 1_000_000
UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEADING: Final = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$|^(\S.*)\n(?:=+|-{3,})[ \t]*$", re.MULTILINE)


class Unreadable(Exception):
    """A file or a line of one holds no document; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the id that its document gets."""

    path: Path
    document_id: str


@dataclass(frozen=True, slots=True)
class Document:
    """What will be submitted."""

    id: str
    title: str
    text: str
    url: str = ""
    note: str = ""
    """What the reader had to guess; empty where nothing."""


@dataclass(frozen=True, slots=True)
class Item:
    """One place in the files and what was found there: a document, or the reason why there is none."""

    place: str
    found: Document | Unreadable


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
    """What the file holds: one item, or one for each line of a .jsonl file. Raises nothing."""
    place = str(source.path)
    if source.path.suffix.lower() == ".jsonl":
        yield from _read_lines(source)
        return
    try:
        yield Item(place, _checked(_reader(source)(source)))
    except Unreadable as error:
        yield Item(place, error)
    except OSError as error:
        yield Item(place, Unreadable((error.strerror or str(error)).lower()))
    except Exception as error:  # parsers of foreign files raise whatever a broken one leads them to
        yield Item(place, Unreadable(f"this cannot be read: {error or type(error).__name__}"))


def _reader(source: Source) -> Callable[[Source], Document]:
    try:
        return READERS[source.path.suffix.lower()]
    except KeyError:
        kind = source.path.suffix or "a file without a suffix"
        raise Unreadable(f"{kind} is not read; {', '.join(SUFFIXES)} are") from None


def _read_markdown(source: Source) -> Document:
    text, note = decode(source.path.read_bytes())
    return Document(source.document_id, _heading(text) or _name(source), text, note=note)


def _read_text(source: Source) -> Document:
    text, note = decode(source.path.read_bytes())
    return Document(source.document_id, _name(source), text, note=note)


def _read_html(source: Source) -> Document:
    import trafilatura  # takes half a second to load, which only files of this kind need

    html, note = decode(source.path.read_bytes())
    tree = trafilatura.load_html(html)
    if tree is None:
        raise Unreadable("this is not HTML")
    title = " ".join((tree.findtext(".//title") or "").split())
    text = trafilatura.extract(html, output_format="markdown", include_comments=False, favor_recall=True) or ""
    return Document(source.document_id, title or _heading(text) or _name(source), text, note=note)


def _read_pdf(source: Source) -> Document:
    from pypdf import PdfReader  # only files of this kind need it

    reader = PdfReader(source.path)
    if reader.is_encrypted:
        raise Unreadable("the PDF is encrypted")
    text = "\n\n".join(page.extract_text() for page in reader.pages)
    title = reader.metadata.title if reader.metadata else None
    if not text.strip():
        raise Unreadable("the PDF holds no text; is it a scan?")
    return Document(source.document_id, (title or "").strip() or _name(source), text)


def _read_lines(source: Source) -> Iterator[Item]:
    try:
        with source.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _read_line(f"{source.path}:{number}", line)
    except OSError as error:
        yield Item(str(source.path), Unreadable((error.strerror or str(error)).lower()))


def _read_line(place: str, line: bytes) -> Item:
    try:
        text, note = decode(line)
        return Item(place, _checked(_from_json(text, note)))
    except Unreadable as error:
        return Item(place, error)


def _from_json(line: str, note: str) -> Document:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise Unreadable(f"this is not JSON: {error.msg} at character {error.pos + 1}") from error
    if not isinstance(content, dict):
        raise Unreadable("a line must be an object with id, title, text and url")
    document_id = _field(content, "id", required=True)
    title = _field(content, "title") or document_id
    return Document(document_id, title, _field(content, "text", required=True), _field(content, "url"), note)


def _field(content: dict[str, Any], name: str, *, required: bool = False) -> str:
    value = content.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise Unreadable(f"{name} must be a text" if value else f"{name} is missing")
    return value


READERS: Final[dict[str, Callable[[Source], Document]]] = {
    ".md": _read_markdown,
    ".txt": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
}
SUFFIXES: Final = (*READERS, ".jsonl")


def decode(content: bytes) -> tuple[str, str]:
    """The text, and a note where its encoding had to be guessed."""
    try:
        if content.startswith(UTF16):
            return content.decode("utf-16"), ""
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), "not UTF-8, read as Windows-1252"
    except UnicodeDecodeError as error:
        raise Unreadable("this is neither UTF-8 nor Windows-1252 text") from error


def _checked(document: Document) -> Document:
    size = len(document.text.encode("utf-8", "replace"))
    if not document.text.strip():
        raise Unreadable("there is no text in it")
    if "\0" in document.text:
        raise Unreadable("this is not text: it holds NUL characters")
    if size > MAX_TEXT_BYTES:
        raise Unreadable(f"the text has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are taken")
    return document


def _heading(text: str) -> str:
    found = _HEADING.search(text)
    return (found.group(1) or found.group(2)).strip() if found else ""


def _name(source: Source) -> str:
    """The file's name as a title: "opening-hours.txt" is "Opening hours"."""
    words = re.sub(r"[-_]+", " ", source.path.stem).strip()
    return words[:1].upper() + words[1:]
