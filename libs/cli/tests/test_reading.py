"""What files become, and why some become nothing."""

import json
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from plumbline_cli.reading import MAX_TEXT_BYTES, Document, Source, Unreadable, read, sources


def one(path: Path, content: str | bytes) -> Document:
    """The only document of a file with *content*."""
    [item] = found(path, content)
    assert isinstance(item, Document), item
    return item


def refusal(path: Path, content: str | bytes) -> str:
    """Why the file holds no document."""
    [item] = found(path, content)
    assert isinstance(item, Unreadable), item
    return str(item)


def found(path: Path, content: str | bytes) -> list[Document | Unreadable]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [item.found for item in read(Source(path, path.name))]


def a_pdf(path: Path, text: str, title: str = "") -> bytes:
    """A PDF of one page that says *text*."""
    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = StreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    writer.write(path)
    return path.read_bytes()


def test_markdown_is_titled_by_its_first_heading(tmp_path: Path) -> None:
    assert one(tmp_path / "a.md", "Intro.\n\n## The *Aurora* ##\n\n# Later\n").title == "The *Aurora*"
    assert one(tmp_path / "b.md", "Underlined\n===\n\nText.").title == "Underlined"


def test_a_file_without_a_title_is_titled_by_its_name(tmp_path: Path) -> None:
    document = one(tmp_path / "opening-hours.txt", "Ten to six.")
    assert (document.id, document.title, document.text) == ("opening-hours.txt", "Opening hours", "Ten to six.")


def test_html_becomes_its_main_content(tmp_path: Path) -> None:
    page = (
        "<html><head><title> The\n Aurora </title></head><body><nav><a href='/'>Home</a></nav><main><article>"
        "<h1>Aurora</h1><p>The lamp costs 49 euros and gives a warm light for reading and writing.</p>"
        f"<p>{'It dims in five steps with a touch on its foot, and remembers the last one. ' * 4}</p>"
        "</article></main><footer>Imprint</footer></body></html>"
    )
    document = one(tmp_path / "a.html", page)
    assert document.title == "The Aurora"
    assert "The lamp costs 49 euros" in document.text
    assert "Home" not in document.text
    assert "Imprint" not in document.text


def test_a_pdf_is_read_with_its_title(tmp_path: Path) -> None:
    path = tmp_path / "manual-two.pdf"
    assert "costs 49 euros" in one(path, a_pdf(path, "The lamp costs 49 euros", "Manual")).text
    assert one(path, a_pdf(path, "Text", "Manual")).title == "Manual"
    assert one(path, a_pdf(path, "Text")).title == "Manual two"


def test_a_pdf_without_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    assert "scan" in refusal(path, a_pdf(path, ""))


def test_a_broken_pdf_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "a.pdf", b"%PDF-1.7 and nothing more")


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("Prix : 49 €".encode(), ""),
        ("Prix : 49 €".encode("utf-8-sig"), ""),
        ("Prix : 49 €".encode("utf-16"), ""),
        ("Prix : 49 €".encode("cp1252"), "not UTF-8, read as Windows-1252"),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "cp1252"],
)
def test_a_text_is_read_in_its_encoding(tmp_path: Path, content: bytes, note: str) -> None:
    document = one(tmp_path / "a.txt", content)
    assert (document.text, document.note) == ("Prix : 49 €", note)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"  \n", "no text"),
        ("a.txt", b"a\x00b", "NUL"),
        ("a.txt", b"\x81\x8d", "neither UTF-8 nor Windows-1252"),
        ("a.txt", b"x" * (MAX_TEXT_BYTES + 1), "1,000,001 bytes"),
        ("a.html", b"", "not HTML"),
        ("a.docx", b"PK", ".docx is not read"),
        ("LICENSE", b"text", "without a suffix"),
    ],
)
def test_what_is_no_document_is_refused_with_a_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path / name, content)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    [item] = read(Source(tmp_path / "nowhere.md", "nowhere.md"))
    assert str(item.found) == "no such file or directory"


def test_every_line_of_a_jsonl_file_is_a_document_or_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = {"id": "lamps/1", "title": "Aurora", "text": "49 euros", "url": "https://shop.example/1"}
    lines = [json.dumps(good), "", "{", "[]", '{"id": "2"}', '{"id": 3, "text": "x"}', '{"id": "4", "text": "x"}']
    path.write_text("\n".join(lines), encoding="utf-8")
    items = list(read(Source(path, "a.jsonl")))
    assert items[0].found == Document("lamps/1", "Aurora", "49 euros", "https://shop.example/1")
    reasons = [str(item.found) for item in items[1:5]]
    assert "not JSON" in reasons[0]
    assert "an object" in reasons[1]
    assert reasons[2:] == ["text is missing", "id must be a text"]
    assert items[5].found == Document("4", "4", "x")
    assert [item.place.rsplit(":", 1)[1] for item in items] == ["1", "3", "4", "5", "6", "7"]


def test_a_folder_yields_what_can_be_read_with_relative_ids(tmp_path: Path) -> None:
    for name in ("b/two.md", "a.txt", "photo.jpg", ".git/x.md", "b/.hidden.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [source.document_id for source in sources([tmp_path])] == ["a.txt", "b/two.md"]


def test_a_file_named_by_hand_is_taken_whatever_it_is(tmp_path: Path) -> None:
    assert [source.document_id for source in sources([tmp_path / "x" / "photo.jpg"])] == ["photo.jpg"]
