"""What polled documents are called, and which are taken."""

from datetime import timedelta
from typing import Any

import pytest

from plumbline_retrieval.domain.document import MAX_ID_CHARACTERS, Document
from plumbline_retrieval.domain.origin import Kind, PolledSource
from plumbline_retrieval.domain.source import Source, Trust


def polled(**fields: Any) -> PolledSource:
    return PolledSource("acme", "wiki", Kind.FOLDER, "/srv/wiki", timedelta(minutes=5), **fields)


@pytest.mark.parametrize(
    ("patterns", "path", "fits"),
    [
        (("*.md",), "a.md", True),
        (("*.md",), "deep/down/a.md", True),
        (("*.md",), "a.md.bak", False),
        (("docs/*.md",), "docs/a.md", True),
        (("docs/*.md",), "docs/deep/a.md", False),
        (("docs/**",), "docs/deep/a.md", True),
        (("docs/",), "docs/deep/a.md", True),
        (("/docs/",), "other/docs/a.md", False),
        (("**/drafts/**",), "drafts/a.md", True),
        (("**/drafts/**",), "x/drafts/y/a.md", True),
        (("a?.md",), "ab.md", True),
        (("a?.md",), "a.md", False),
        (("a.md",), "a-md", False),
        (("[x].md",), "[x].md", True),
        (("*.txt", "*.md"), "a.md", True),
    ],
)
def test_a_pattern_names_the_paths_that_are_taken(patterns: tuple[str, ...], path: str, fits: bool) -> None:
    assert polled(include=patterns).takes(path) is fits
    assert polled(exclude=patterns).takes(path) is not fits


def test_what_is_excluded_is_not_taken_even_if_it_is_included() -> None:
    source = polled(include=("*.md",), exclude=("draft-*",))
    assert source.takes("docs/a.md")
    assert not source.takes("docs/draft-a.md")


def test_a_document_is_called_by_its_source_and_path() -> None:
    assert polled().document_id("docs/opening hours.md") == "wiki/docs/opening hours.md"
    assert polled().document_id("") == "wiki"


@pytest.mark.parametrize("path", ["a" * 600, "line\nbreak.md", "/a", "a/", "bad-\udcff-bytes.md"])
def test_any_path_makes_an_id_that_a_document_may_have_and_no_other_path_has(path: str) -> None:
    name = polled().document_id(path)
    assert Document(name, "", "text").document_id == name
    assert len(name) <= MAX_ID_CHARACTERS
    assert name == polled().document_id(path)
    assert name != polled().document_id(path + "x")


def test_only_what_was_polled_belongs_to_the_poller() -> None:
    source = polled()
    assert source.owns(source.document_id("a.md"))
    assert source.owns(source.document_id(""))
    assert not any(source.owns(each) for each in ("a.md", "wikis/a.md", "facts/lamp/price"))


def test_a_polled_source_is_registered_as_the_plan_says() -> None:
    plan = polled(name="Wiki", owner="Docs", trust=Trust.HIGH, license="CC0-1.0", retention=timedelta(days=7))
    assert plan.registered() == Source(
        "wiki", "Wiki", "Docs", "folder", Trust.HIGH, retention=timedelta(days=7), license="CC0-1.0"
    )
