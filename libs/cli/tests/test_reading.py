"""Which files are sent, and as what."""

import json
from pathlib import Path

from plumbline_cli.reading import Document, Item, Source, Unreadable, read, sources

ROW = {"id": "lamp", "title": "Lamp", "text": "It costs 49 euros.", "url": "https://shop/lamp"}


def items(path: Path, *lines: object) -> list[Item]:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return list(read(Source(path, path.name)))


def test_a_folder_gives_its_readable_files_in_order_and_no_hidden_one(tmp_path: Path) -> None:
    for name in ("b.md", "a/c.PDF", "a/d.docx", ".hidden/e.md", "f.exe", ".g.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", "utf-8")
    assert [source.document_id for source in sources([tmp_path])] == ["a/c.PDF", "a/d.docx", "b.md"]


def test_a_file_that_is_named_is_sent_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "f.exe").write_text("x", "utf-8")
    assert list(sources([tmp_path / "f.exe"])) == [Source(tmp_path / "f.exe", "f.exe")]


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    assert items(tmp_path / "a.md", "# Lamp") == [Item(str(tmp_path / "a.md"), Source(tmp_path / "a.md", "a.md"))]


def test_each_line_of_a_list_of_documents_is_a_document_or_says_why_not(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    found = [
        item.found for item in items(path, ROW, "", {"id": "desk", "text": "Oak."}, "{", "[1]", {"id": "x"}, {"id": 7})
    ]
    assert found[:2] == [Document(*ROW.values()), Document("desk", "desk", "Oak.")]
    assert [str(each).split(":")[0] for each in found[2:]] == [
        "this is not JSON",
        "a line must be an object with id, title, text and url",
        "text is missing",
        "id must be a text",
    ]


def test_places_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    assert [item.place for item in items(path, ROW, "", ROW)] == [f"{path}:1", f"{path}:3"]


def test_a_list_of_other_objects_is_sent_as_a_file(tmp_path: Path) -> None:
    [item] = items(tmp_path / "prices.jsonl", {"product": "lamp", "price": 49})
    assert isinstance(item.found, Source)


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    [item] = read(Source(tmp_path / "gone.md", "gone.md"))
    assert isinstance(item.found, Unreadable)
    assert str(item.found) == "no such file or directory"
