"""Public data in the forms that people have it in: nothing is lost and nothing is refused."""

import csv
import gzip
import html
import io
import json
import os
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from plumbline_retrieval.domain.content import Content, Layout

PAGES, TABLES = 30, 150
MEDQUAD_BYTES = 1_000_000

ReadFile = Callable[..., Content]


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("PLUMBLINE_DATA", "../shared/data"))  # noqa: TID251  # a test's own setting
    if not (folder / "xquad").is_dir():
        pytest.skip("not run: no data folder")
    return folder


def flat(text: str) -> str:
    """Without what a reader may change: space, what nobody sees, and the escapes of Markdown."""
    return " ".join(re.sub(r"[\ufeff\u200b\\]", "", text).split())


def articles(data: Path, language: str) -> list[dict]:
    return json.loads((data / "xquad" / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_xquad_is_read_as_json(data: Path, content: ReadFile, language: str) -> None:
    found = content("xquad.json", (data / "xquad" / f"xquad.{language}.json").read_bytes())
    assert (found.layout, found.notes) == (Layout.RECORDS, ())
    contexts = [each["context"] for article in articles(data, language) for each in article["paragraphs"]]
    assert len(found.text.split("\n\n")) in (len(articles(data, language)), len(articles(data, language)) + 1)
    text = flat(found.text)
    assert all(flat(each) in text for each in contexts)


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_articles_are_read_as_pages(data: Path, content: ReadFile, language: str) -> None:
    for article in islice(articles(data, language), PAGES):
        paragraphs = [flat(each["context"]) for each in article["paragraphs"]]
        body = "".join(f"<p>{html.escape(each)}</p>\n" for each in paragraphs)
        page = (
            f"<html><head><title>{article['title']}</title></head><body><nav>Menu</nav><article>{body}</article></body>"
        )
        found = content("page.html", page)
        assert found.title == article["title"]
        text = flat(found.text)
        missing = [each for each in paragraphs if each not in text]
        assert not missing


def test_medquad_is_read_as_json_lines(data: Path, content: ReadFile) -> None:
    with gzip.open(data / "medquad" / "medquad.jsonl.gz") as lines:
        whole = lines.read(MEDQUAD_BYTES)
    kept = whole[: int(0.9 * MEDQUAD_BYTES)]  # names and blank lines take room, too; the last line is cut
    found = content("medquad.jsonl", kept)
    records = found.text.split("\n\n")
    count = kept.count(b"\n")
    assert len(records) == count
    assert found.notes == (f"line {count + 1} left out: no JSON",)
    assert all(record.startswith("id: ") for record in records)


def test_tatqa_tables_are_read_as_csv(data: Path, content: ReadFile) -> None:
    articles = json.loads((data / "tatqa" / "tatqa_dataset_dev.json").read_text(encoding="utf-8"))
    for article in articles[:TABLES]:
        rows = article["table"]["table"]
        file = io.StringIO()
        csv.writer(file).writerows(rows)
        found = content("table.csv", file.getvalue())
        assert found.layout is Layout.RECORDS
        cells = [flat(cell) for row in rows[1:] for cell in row if cell.strip()]
        text = flat(found.text)
        assert all(cell in text for cell in cells)
