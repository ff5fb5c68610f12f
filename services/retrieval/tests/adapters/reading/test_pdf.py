"""PDF: pages, titles, and those that hold nothing to read."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfWriter

from plumbline_retrieval.adapters.reading import pdf
from plumbline_retrieval.adapters.reading.pdf import without_running_lines
from plumbline_retrieval.domain.content import Content, Layout

FILES = Path(__file__).with_name("files")
HANDBOOK = FILES / "handbook.pdf"

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def rewritten(change: Callable[[PdfWriter], object]) -> bytes:
    writer = PdfWriter(clone_from=HANDBOOK)
    change(writer)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_pdf_of_another_program_is_read_page_by_page(content: ReadFile) -> None:
    found = content("handbook.pdf")
    pages = found.text.split("\f")
    assert (found.title, found.layout, found.media_type) == ("Harbour Lamps handbook", Layout.PROSE, "application/pdf")
    assert len(pages) == 3
    assert "• waters the two lemon trees at the entrance\nLamps and prices\n" in pages[0]
    assert "Eider brass and glass 210" in pages[0]
    assert pages[1].startswith("Repairs\nA repair begins with a slip: the customer")
    assert pages[2].startswith("Returns and complaints\n")
    assert pages[2].endswith("Östra Varnby.")


def test_page_numbers_are_left_out(content: ReadFile) -> None:
    found = content("handbook.pdf")
    assert not any(line.isdecimal() for page in found.text.split("\f") for line in page.split("\n"))
    assert found.notes == ("lines that come on most pages were kept once",)


def test_a_running_title_is_kept_once_and_figures_stay() -> None:
    pages = [
        f"Harbour Lamps\nPage {n} of 4\nWords of page {n}\nand more\n{word}\n{100 * n}"
        for n, word in enumerate("abcd", 1)
    ]
    kept, _ = without_running_lines(pages)
    assert kept[0] == pages[0]
    assert kept[1] == "Words of page 2\nand more\nb\n200"
    assert kept[3] == "Words of page 4\nand more\nd\n400"


def test_an_empty_page_counts(content: ReadFile) -> None:
    found = content("handbook.pdf", rewritten(lambda writer: writer.insert_blank_page(index=0)))
    pages = found.text.split("\f")
    assert len(pages) == 4
    assert pages[0] == ""
    assert pages[2].startswith("Repairs\n")
    assert found.notes[0] == "page 1 holds no text"


@pytest.mark.parametrize("title", ["", "untitled", "Microsoft Word - handbook_v3.docx"])
def test_a_title_that_nobody_wrote_gives_way_to_the_files_name(content: ReadFile, title: str) -> None:
    data = rewritten(lambda writer: writer.add_metadata({"/Title": title}))
    assert content("shop-rules.pdf", data).title == "Shop rules"


def test_a_pdf_with_a_password_is_refused(refusal: Refusal) -> None:
    data = rewritten(lambda writer: writer.encrypt("secret", algorithm="AES-256"))
    assert refusal("handbook.pdf", data) == "is a PDF with a password: save it without one and send that"


def test_a_pdf_that_everybody_can_open_is_read_although_it_is_encrypted(content: ReadFile) -> None:
    data = rewritten(lambda writer: writer.encrypt("", "owner", algorithm="AES-256"))
    found = content("handbook.pdf", data)
    assert found.text == content("handbook.pdf").text
    assert found.notes[0] == "encrypted, opens without a password"


def test_a_scan_is_refused(refusal: Refusal) -> None:
    sentence = refusal("scan.pdf")
    assert sentence.startswith("is a PDF without text, probably a scan: run text recognition")


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\nlamp",
        b"%PDF-1.7\n" + bytes(2_000),
        HANDBOOK.read_bytes()[:2_000],
        b"%PDF-1.4\ntrailer<</Root 1 0 R>>",
    ],
)
def test_a_broken_pdf_is_refused(refusal: Refusal, data: bytes) -> None:
    sentence = refusal("handbook.pdf", data)
    assert sentence.endswith("open it, save it again and send that")


def test_a_broken_page_does_not_cost_the_others(content: ReadFile) -> None:
    def break_page_two(writer: PdfWriter) -> None:
        writer.pages[1]["/Contents"].get_object().set_data(b"BT /None 12 Tf (lamp) Tj ET q Q <<")

    found = content("handbook.pdf", rewritten(break_page_two))
    pages = found.text.split("\f")
    assert len(pages) == 3
    assert pages[2].startswith("Returns and complaints\n")


def test_more_text_than_a_document_may_have_is_refused_before_all_of_it_is_read(
    refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "MAX_TEXT_BYTES", 1_500)
    assert refusal("handbook.pdf") == "has more than 1,500 bytes of text on 2 pages: split it"
