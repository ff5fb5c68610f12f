"""What is a document, and what follows when its next version comes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.document import MAX_TEXT_BYTES, Document, DocumentKey, Passage
from plumbline_retrieval.domain.head import (
    KEPT_VERSIONS,
    NO_VERSION,
    Head,
    Live,
    State,
    deleted,
    next_head,
    published,
    rejected,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = DocumentKey("acme", "lamp")


def lamp(**fields: Any) -> Document:
    return Document(**({"document_id": "lamp", "title": "Lamp", "text": "It costs 12 euros."} | fields))


def passages(*texts: str) -> list[Passage]:
    return [Passage(number, 0, len(text), text) for number, text in enumerate(texts)]


def live(version: int, *texts: str, before: Head | None = None, **fields: Any) -> Head:
    return published(next_head(before, KEY, version, NOON), lamp(**fields), passages(*texts), NOON)


def hashes(*texts: str) -> tuple[str, ...]:
    return tuple(passage.hash for passage in passages(*texts))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"document_id": ""}, "document.document_id", id="no_id"),
        pytest.param({"document_id": "x" * 513}, "document.document_id", id="long_id"),
        pytest.param({"document_id": "/lamp"}, "document.document_id", id="slash_in_front"),
        pytest.param({"document_id": "lamp/"}, "document.document_id", id="slash_at_the_end"),
        pytest.param({"document_id": "la\0mp"}, "document.document_id", id="nul_in_id"),
        pytest.param({"document_id": "la\nmp"}, "document.document_id", id="line_break_in_id"),
        pytest.param({"text": ""}, "document.text", id="no_text"),
        pytest.param({"text": " \n\t"}, "document.text", id="blank_text"),
        pytest.param({"text": "--- * ---"}, "document.text", id="nothing_to_find"),
        pytest.param({"text": "é" * (MAX_TEXT_BYTES // 2) + "e"}, "document.text", id="text_of_1_000_001_bytes"),
        pytest.param({"text": "PK\0\1"}, "document.text", id="nul_in_text"),
        pytest.param({"title": "x" * 1_001}, "document.title", id="long_title"),
        pytest.param({"title": "La\0mp"}, "document.title", id="nul_in_title"),
        pytest.param({"url": "x" * 2_001}, "document.url", id="long_url"),
        pytest.param({"groups": (" ",)}, "document.groups", id="blank_group"),
        pytest.param({"groups": ("*",)}, "document.groups", id="group_of_everybody"),
        pytest.param({"groups": ("x" * 201,)}, "document.groups", id="long_group"),
        pytest.param({"groups": tuple(map(str, range(101)))}, "document.groups", id="many_groups"),
        pytest.param({"metadata": (("", "x"),)}, "document.metadata", id="nameless_metadata"),
        pytest.param({"metadata": (("a=b", "x"),)}, "document.metadata", id="equals_sign_in_a_name"),
        pytest.param({"metadata": (("a", "x" * 501),)}, "document.metadata", id="long_metadata"),
        pytest.param({"metadata": tuple((str(n), "") for n in range(51))}, "document.metadata", id="much_metadata"),
        pytest.param({"language": "x" * 36}, "document.language", id="long_language"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        lamp(**fields)
    assert [violation.field for violation in refusal.value.violations] == [field]


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(Invalid, match=r"document_id.*text"):
        lamp(document_id="", text="")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"document_id": "x"}, id="shortest_id"),
        pytest.param({"document_id": "x" * 512}, id="longest_id"),
        pytest.param({"document_id": "shop/lamps/aurora é"}, id="slashes_inside"),
        pytest.param({"text": "7"}, id="shortest_text"),
        pytest.param({"text": "é" * (MAX_TEXT_BYTES // 2)}, id="longest_text"),
        pytest.param({"title": ""}, id="no_title"),
    ],
)
def test_the_limits_themselves_are_allowed(fields: dict[str, Any]) -> None:
    assert lamp(**fields)


def test_the_first_version_adds_all_its_passages() -> None:
    head = live(3, "a", "b")
    assert (head.state, head.live.version, head.live.passage_hashes) == (State.LIVE, 3, hashes("a", "b"))
    assert head.change is not None
    assert (head.change.old_version, head.change.removed, head.change.added) == (NO_VERSION, (), hashes("a", "b"))


def test_a_change_names_only_the_passages_that_went_and_came() -> None:
    change = live(7, "b", "c", before=live(3, "a", "b")).change
    assert change is not None
    assert (change.old_version, change.new_version) == (3, 7)
    assert (change.removed, change.added) == (hashes("a"), hashes("c"))


@pytest.mark.parametrize("fields", [{"title": "Lamps"}, {"groups": ("sales",)}])
def test_another_title_or_audience_removes_every_passage(fields: dict[str, Any]) -> None:
    change = live(7, "a", "b", before=live(3, "a", "b"), **fields).change
    assert change is not None
    assert (change.removed, change.added) == (hashes("a", "b"), ())


def test_a_deletion_removes_every_passage_and_keeps_who_may_know_of_it() -> None:
    head = deleted(next_head(live(3, "a", groups=("sales",)), KEY, 4, NOON))
    assert (head.state, head.live) == (State.DELETED, Live())
    assert head.change is not None
    assert (head.change.deleted, head.change.removed) == (True, hashes("a"))
    assert head.admits(["sales"])
    assert not head.admits([])


def test_a_refused_version_leaves_the_one_before_live() -> None:
    head = rejected(next_head(live(3, "a"), KEY, 4, NOON), "the document holds no text")
    assert (head.version, head.state, head.reason) == (4, State.REJECTED, "the document holds no text")
    assert (head.live.version, head.live.passage_hashes, head.change) == (3, hashes("a"), None)


def test_the_step_after_a_refused_version_starts_from_what_is_live() -> None:
    change = live(5, "b", before=rejected(next_head(live(3, "a"), KEY, 4, NOON), "no")).change
    assert change is not None
    assert (change.old_version, change.removed, change.added) == (3, hashes("a"), hashes("b"))


def test_a_document_without_groups_is_everybodys_and_one_with_groups_theirs() -> None:
    assert live(1, "a").shows([])
    assert live(1, "a", groups=("sales", "ops")).shows(["ops", "it"])
    assert not live(1, "a", groups=("sales",)).shows(["ops"])
    assert not deleted(live(1, "a")).shows([])


def test_a_head_remembers_its_last_steps() -> None:
    head = live(0, "a")
    for version in range(1, KEPT_VERSIONS + 5):
        head = live(version, "a", str(version), before=head)
    head = rejected(next_head(head, KEY, 99, NOON), "no text")
    assert len(head.history) == KEPT_VERSIONS
    newest, before = head.history[:2]
    assert (newest.version, newest.state, newest.reason) == (99, State.REJECTED, "no text")
    assert (before.version, before.added, before.removed) == (KEPT_VERSIONS + 4, 1, 1)


def test_the_encoder_sees_a_passage_under_its_title_and_headings() -> None:
    passage = Passage(0, 0, 8, "costs 12", ("Lamp", "Prices"))
    assert passage.embedded("Lamp") == "Lamp > Prices\ncosts 12"
    assert passage.embedded("") == "Lamp > Prices\ncosts 12"
    assert Passage(0, 0, 8, "costs 12").embedded("") == "costs 12"
