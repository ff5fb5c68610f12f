"""What a file is taken for when its sender, its name and its content disagree."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_retrieval.domain.content import Content

FILES = Path(__file__).with_name("files")
PAGE = "<!doctype html><title>Lamps</title><p>The Tern lamp costs 120 crowns.</p>"

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("lamp.MD", "", "text/markdown"),
        ("lamp.txt", "text/x-markdown; charset=utf-8", "text/markdown"),
        ("lamp.md", "application/octet-stream", "text/markdown"),
        ("lamp", "", "text/plain"),
        ("lamp", "text/csv", "text/csv"),
    ],
)
def test_the_sender_is_believed_then_the_name(content: ReadFile, name: str, media_type: str, expected: str) -> None:
    found = content(name, "Tern,120\nGull,95\n", media_type)
    assert found.media_type == expected


def test_an_unknown_suffix_is_read_as_plain_text_with_a_note(content: ReadFile) -> None:
    found = content("lamp.rst", "The Tern lamp")
    assert (found.media_type, found.notes) == ("text/plain", (".rst is not a known suffix, read as plain text",))


@pytest.mark.parametrize(
    ("name", "kind"), [("handbook.pdf", "PDF"), ("handbook.docx", "DOCX"), ("handbook.html", "HTML")]
)
def test_content_that_speaks_for_itself_needs_no_name(content: ReadFile, name: str, kind: str) -> None:
    data = (FILES / name).read_bytes()
    assert content("upload", data).text == content(name).text
    assert content("upload", data).notes == content(name).notes
    assert content("upload.txt", data).notes[0] == f"called plain text but is {kind}, read as that"


def test_a_pdf_called_docx_is_read_as_what_it_is(content: ReadFile) -> None:
    found = content("handbook.docx", (FILES / "handbook.pdf").read_bytes())
    assert found.media_type == "application/pdf"
    assert found.notes[0] == "called DOCX but is PDF, read as that"


def test_a_page_of_an_error_called_pdf_is_read_as_html(content: ReadFile) -> None:
    assert content("lamp.pdf", PAGE).text == "The Tern lamp costs 120 crowns."


@pytest.mark.parametrize(("name", "kind"), [("lamp.pdf", "PDF"), ("lamp.docx", "DOCX")])
def test_text_called_pdf_or_docx_is_refused(refusal: Refusal, name: str, kind: str) -> None:
    sentence = refusal(name, "The Tern lamp")
    assert sentence == f"is called {kind} and is none: open it, save it again as {kind} and send that"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an old or password-protected Office file"),
        (b"{\\rtf1 lamp}", "an RTF document"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (zipped("xl/workbook.xml"), "an Excel workbook"),
        (zipped("mimetype", "content.xml"), "an OpenDocument file"),
        (zipped("lamp.txt"), "a ZIP archive"),
    ],
)
@pytest.mark.parametrize("name", ["lamp.txt", "lamp.docx", "lamp"])
def test_a_format_that_is_not_read_is_named_whatever_the_file_is_called(
    refusal: Refusal, data: bytes, kind: str, name: str
) -> None:
    assert refusal(name, data).startswith(f"is {kind}, which is not read: ")


def test_a_text_about_pdf_is_no_pdf(content: ReadFile) -> None:
    assert content("about.txt", "Every PDF begins with %PDF-1.7 or so.").media_type == "text/plain"
