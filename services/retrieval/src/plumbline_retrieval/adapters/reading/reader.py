"""Reads a file of any format that is read at all."""

from collections.abc import Callable
from typing import Final

from plumbline_kit.errors import Invalid
from plumbline_retrieval.adapters.reading import media
from plumbline_retrieval.adapters.reading.docx import read_docx
from plumbline_retrieval.adapters.reading.extract import Extract, refused
from plumbline_retrieval.adapters.reading.html import read_html
from plumbline_retrieval.adapters.reading.json_records import read_json, read_json_lines
from plumbline_retrieval.adapters.reading.pdf import read_pdf
from plumbline_retrieval.adapters.reading.tables import read_csv, read_tsv
from plumbline_retrieval.adapters.reading.text import read_markdown, read_plain, tidy
from plumbline_retrieval.domain.content import Content, File
from plumbline_retrieval.domain.document import MAX_TEXT_BYTES, MAX_TITLE_CHARACTERS

READERS: Final[dict[str, Callable[[bytes], Extract]]] = {
    media.CSV: read_csv,
    media.DOCX: read_docx,
    media.HTML: read_html,
    media.JSON: read_json,
    media.JSON_LINES: read_json_lines,
    media.MARKDOWN: read_markdown,
    media.PDF: read_pdf,
    media.PLAIN: read_plain,
    media.TSV: read_tsv,
}


def read(file: File) -> Content:
    """What *file* says, read in this process.

    Raises `Invalid` with a sentence on what to do for everything that is the file's fault, and `MemoryError` where
    reading it takes more than this process may have. A parser that crashes takes this process with it.
    """
    media_type, notes = media.recognise(file)
    extract = _extract(media_type, file.data)
    text = tidy(extract.text)
    _check(text)
    title = " ".join(tidy(extract.title).split()) or file.title
    return Content(title[:MAX_TITLE_CHARACTERS], text, extract.layout, media_type, (*notes, *extract.notes))


def _extract(media_type: str, data: bytes) -> Extract:
    try:
        return READERS[media_type](data)
    except (Invalid, MemoryError):
        raise
    except RecursionError:
        raise refused("is nested too deeply: make it flatter and send that") from None
    except Exception as error:  # parsers of foreign files raise whatever a broken one leads them to
        name = media.NAMES[media_type]
        raise refused(f"cannot be read as {name}, it may be damaged: open it, save it again and send that") from error


def _check(text: str) -> None:
    if not any(character.isalnum() for character in text):
        raise refused("holds no letter and no digit: send one with text in it")
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        raise refused(f"has {size:,} bytes of text; at most {MAX_TEXT_BYTES:,} are allowed: split it")
