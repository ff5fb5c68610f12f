"""Which format a file has: by what its sender says, by its name, and by its first bytes."""

import re
import zipfile
from io import BytesIO
from typing import Final

from plumbline_retrieval.adapters.reading.extract import refused
from plumbline_retrieval.domain.content import File

CSV: Final = "text/csv"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final = "text/html"
JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonl"
MARKDOWN: Final = "text/markdown"
PDF: Final = "application/pdf"
PLAIN: Final = "text/plain"
TSV: Final = "text/tab-separated-values"

NAMES: Final = {
    CSV: "CSV",
    DOCX: "DOCX",
    HTML: "HTML",
    JSON: "JSON",
    JSON_LINES: "JSON lines",
    MARKDOWN: "Markdown",
    PDF: "PDF",
    PLAIN: "plain text",
    TSV: "TSV",
}
_SUFFIXES: Final = {
    ".csv": CSV,
    ".docm": DOCX,
    ".docx": DOCX,
    ".htm": HTML,
    ".html": HTML,
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".markdown": MARKDOWN,
    ".md": MARKDOWN,
    ".ndjson": JSON_LINES,
    ".pdf": PDF,
    ".tab": TSV,
    ".text": PLAIN,
    ".tsv": TSV,
    ".txt": PLAIN,
    ".xhtml": HTML,
}
_ALIASES: Final = {
    "application/csv": CSV,
    "application/ndjson": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "application/xhtml+xml": HTML,
    "text/json": JSON,
    "text/x-markdown": MARKDOWN,
}
_SAVE_AS_DOCX: Final = "save it as DOCX or PDF"
_FOREIGN: Final = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", "send its text"),
    (b"\xff\xd8\xff", "a JPEG picture", "send its text"),
    (b"GIF8", "a GIF picture", "send its text"),
    (b"II*\0", "a TIFF picture", "send its text"),
    (b"MM\0*", "a TIFF picture", "send its text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or password-protected Office file", f"{_SAVE_AS_DOCX}, no password"),
    (b"{\\rtf", "an RTF document", _SAVE_AS_DOCX),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
)
_ARCHIVES: Final = (
    ("xl/workbook.", "an Excel workbook", "save its sheets as CSV"),
    ("ppt/presentation.", "a PowerPoint presentation", "save it as PDF"),
    ("META-INF/container.xml", "an EPUB book", _SAVE_AS_DOCX),
    ("content.xml", "an OpenDocument file", _SAVE_AS_DOCX),
)
_ZIP: Final = b"PK\x03\x04"
_PDF_WITHIN: Final = 1024
"""Viewers look this far for the header of a PDF that has something before it."""
_HTML_START: Final = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)


def recognise(file: File) -> tuple[str, tuple[str, ...]]:
    """The media type to read the file as, and a note where that is not what it is called.

    Content that cannot be mistaken wins over the name. Raises `Invalid` for a format that is not read.
    """
    claimed, found = _claimed(file), _found(file.data)
    if claimed == PDF and b"%PDF-" in file.data[:_PDF_WITHIN]:
        return PDF, ()
    if found:
        return found, _contradiction(file, claimed, found)
    if claimed in (PDF, DOCX):
        raise refused(
            f"is called {NAMES[claimed]} and is none: open it, save it again as {NAMES[claimed]} and send that"
        )
    if claimed:
        return claimed, ()
    return PLAIN, (f"{file.suffix} is not a known suffix, read as plain text",) if file.suffix else ()


def _claimed(file: File) -> str:
    media_type = file.media_type.partition(";")[0].strip().lower()
    media_type = _ALIASES.get(media_type, media_type)
    return media_type if media_type in NAMES else _SUFFIXES.get(file.suffix, "")


def _found(data: bytes) -> str:
    """The format, if its first bytes say so."""
    for magic, kind, advice in _FOREIGN:
        if data.startswith(magic):
            raise refused(f"is {kind}, which is not read: {advice} and send that")
    if data.startswith(_ZIP):
        return _archive(data)
    if data.lstrip().startswith(b"%PDF-"):
        return PDF
    return HTML if _HTML_START.match(data[:4096].replace(b"\0", b"")) else ""


def _archive(data: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise refused("is a damaged DOCX or ZIP archive: open it, save it again and send that") from error
    if "word/document.xml" in names:
        return DOCX
    for part, kind, advice in _ARCHIVES:
        if any(name.startswith(part) for name in names):
            raise refused(f"is {kind}, which is not read: {advice} and send that")
    raise refused("is a ZIP archive, which is not read: unpack it and send the files in it")


def _contradiction(file: File, claimed: str, found: str) -> tuple[str, ...]:
    if claimed in ("", found):
        return ()
    return (f"called {NAMES[claimed]} but is {NAMES[found]}, read as that",)
