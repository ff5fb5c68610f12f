r"""Reads PDF: the text of every page, with "\f" between pages."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

from plumbline_retrieval.adapters.reading.extract import Extract, listed, refused
from plumbline_retrieval.domain.document import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

_MARGIN_LINES: Final = 2
"""How many lines at the top and at the bottom of a page may be a running title."""
_MARGIN_PAGES: Final = 3
"""On fewer pages a line that comes again says nothing."""
_NUMBER: Final = re.compile(r"\b\d{1,5}\b")
_NO_TITLE: Final = re.compile(
    r"untitled\b.*|microsoft (?:word|powerpoint) - |.*\.(?:docx?|pptx?|indd|tex|dvi|qxd)", re.I
)
"""What programs write into the title when their user did not."""


def read_pdf(data: bytes) -> Extract:
    """Every page's text; lines that most pages begin or end with stay on the first page that has them."""
    from pypdf import PdfReader  # only files of this kind need it

    reader = PdfReader(BytesIO(data))
    notes = _unlocked(reader)
    pages, unreadable = _pages(reader)
    silent = [number for number, page in enumerate(pages, start=1) if not page.strip() and number not in unreadable]
    if not any(page.strip() for page in pages):
        raise _without_text(len(pages), unreadable)
    left_out = [*_note("hold no text", silent), *_note("cannot be read", unreadable)]
    pages, repeated = without_running_lines(pages)
    return Extract("\f".join(pages), _title(reader), notes=(*notes, *left_out, *repeated))


def _unlocked(reader: "PdfReader") -> tuple[str, ...]:
    """Opens what everybody can open: a file that only forbids changes is encrypted without a password."""
    if not reader.is_encrypted:
        return ()
    if not reader.decrypt(""):
        raise refused("is a PDF with a password: save it without one and send that")
    return ("encrypted, opens without a password",)


def _pages(reader: "PdfReader") -> tuple[list[str], list[int]]:
    """Every page's text, and the numbers of those that cannot be read."""
    pages: list[str] = []
    unreadable: list[int] = []
    size = 0
    for number, page in enumerate(reader.pages, start=1):
        try:
            pages.append(_text(page))
        except MemoryError:
            raise
        except Exception:  # a broken page is no reason to lose the others
            pages.append("")
            unreadable.append(number)
        size += len(pages[-1])
        if size > MAX_TEXT_BYTES:
            raise refused(f"has more than {MAX_TEXT_BYTES:,} bytes of text on {number} pages: split it")
    return pages, unreadable


def _text(page: "PageObject") -> str:
    return re.sub(r"[\f\v]", " ", page.extract_text()).strip("\n ")


def _without_text(pages: int, unreadable: Sequence[int]) -> Exception:
    if unreadable or not pages:
        return refused("is a damaged PDF: open it, save it again and send that")
    return refused("is a PDF without text, probably a scan: run text recognition (OCR) on it and send the result")


def _note(what: str, numbers: list[int]) -> Iterator[str]:
    if len(numbers) == 1:
        yield f"page {numbers[0]} {what.replace('hold ', 'holds ')}"
    elif numbers:
        yield f"pages {listed(numbers)} {what}"


def without_running_lines(pages: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The pages without running titles and page numbers, except for titles where these come first."""
    lines = [page.split("\n") for page in pages]
    seen: Counter[str] = Counter()
    for number, page in enumerate(lines):
        seen.update({key for at in _margins(page) for key in _keys(page[at], number)})
    filled = sum(bool(page.strip()) for page in pages)
    running = {key for key, count in seen.items() if count >= _MARGIN_PAGES and count * 2 > filled}
    if not running:
        return list(pages), ()
    known: set[str] = set()
    kept = ["\n".join(_kept(page, number, running, known)) for number, page in enumerate(lines)]
    return kept, ("lines that come on most pages were kept once",)


def _kept(page: list[str], number: int, running: set[str], known: set[str]) -> Iterator[str]:
    margins = _margins(page)
    for at, line in enumerate(page):
        keys = running & _keys(line, number) if at in margins else set()
        if not keys or (not keys & known and not line.strip().isdecimal()):
            yield line
        known |= keys


def _margins(page: Sequence[str]) -> set[int]:
    filled = [at for at, line in enumerate(page) if line.strip()]
    return {*filled[:_MARGIN_LINES], *filled[-_MARGIN_LINES:]}


def _keys(line: str, page: int) -> set[str]:
    """What other pages have as well if the line is a running title, or one whose first number counts the pages."""
    line = " ".join(line.split())
    return {line, _NUMBER.sub(lambda number: f"#{int(number[0]) - page}", line, count=1)}


def _title(reader: "PdfReader") -> str:
    title = str((reader.metadata.title if reader.metadata else None) or "").strip()
    return "" if _NO_TITLE.match(title) else title
