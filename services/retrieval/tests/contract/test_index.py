"""What every index promises, on the one in memory and on the engine."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Passage
from plumbline_retrieval.domain.head import Change, Head, Live, State, Step, deleted, next_head, published, rejected
from plumbline_retrieval.domain.likeness import sketch
from plumbline_retrieval.domain.query import Filter, Scope
from plumbline_retrieval.domain.ranking import fuse
from plumbline_retrieval.domain.source import Freshness, Source, Trust
from plumbline_retrieval.ports import Index

Make = Callable[..., Any]

LONG = " ".join(f"word{number}" for number in range(100))
NOON = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@dataclass
class Shelf:
    """An index and short words for what one does with it."""

    index: Index
    vector: Make
    look: Make

    async def stage(
        self, version: int, *texts: str, tenant: str = "acme", document: str = "lamp", **fields: Any
    ) -> tuple[DocumentKey, Document, list[Passage]]:
        key = DocumentKey(tenant, document)
        made = Document(document, "Lamp", " ".join(texts), "https://shop/lamp", **fields)
        passages = [Passage(number, 10 * number, 10 * number + 5, text) for number, text in enumerate(texts)]
        vectors = np.stack([self.vector(*([0] * number), 1) for number in range(len(texts))])
        await self.index.stage(key, version, made, passages, vectors, NOON)
        return key, made, passages

    async def publish(self, version: int, *texts: str, **where: Any) -> Head:
        key, document, passages = await self.stage(version, *texts, **where)
        before = (await self.index.heads([key])).get(key)
        head = published(next_head(before, key, version, NOON), document, passages, NOON, sketch(document.text))
        await self.index.put_head(head)
        return head

    async def find(
        self, text: str = "lamp", *, tenant: str = "acme", groups: Sequence[str] = (), near: Any = None, **wanted: Any
    ) -> list[Found]:
        """What is live of the fused lists, best first."""
        near = self.vector(1) if near is None else near
        return await self.look(self.index, tenant, text, near, groups=tuple(groups), filter=Filter(**wanted))

    async def texts(self, *arguments: Any, **fields: Any) -> list[str]:
        return sorted(found.passage.text for found in await self.find(*arguments, **fields))


@pytest.fixture
def shelf(index: Index, vector: Make, look: Make) -> Shelf:
    return Shelf(index, vector, look)


async def test_an_empty_index_finds_nothing_and_knows_no_head(shelf: Shelf) -> None:
    assert await shelf.find() == []
    assert await shelf.index.heads([DocumentKey("acme", "lamp")]) == {}
    assert await shelf.index.heads([]) == {}


@pytest.mark.parametrize("change", [None, Change(3, 4, False, ("h1",), ("h2", "h3"), NOON)])
async def test_a_head_comes_back_as_it_was(shelf: Shelf, change: Change | None) -> None:
    key = DocumentKey("acme", "shop/lamp é")
    live = Live(3, "Lamp", ("h2", "h3"), "t1", NOON, "etag:7", sketch(LONG))
    history = (Step(4, State.REJECTED, NOON, reason="no text"), Step(3, State.LIVE, NOON, 2, 1))
    head = Head(key, 4, State.REJECTED, NOON, live, ("ops", "sales"), "wiki", "no text", change, True, history)
    await shelf.index.put_head(head)
    assert await shelf.index.heads([key, DocumentKey("acme", "other")]) == {key: head}


async def test_the_newest_head_counts(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    head = await shelf.publish(2, "costs 13")
    assert await shelf.index.heads([head.key]) == {head.key: head}


async def test_a_found_passage_has_all_that_a_reader_needs(shelf: Shelf) -> None:
    head = await shelf.publish(7, "The lamp costs 12 euros.")
    [found] = await shelf.find("What does the lamp cost?")
    assert (found.ref.document_id, found.ref.version) == ("lamp", 7)
    assert (found.ref.passage_hash,) == head.live.passage_hashes
    assert (found.title, found.url, found.source_id, found.submitted_at) == (
        "Lamp",
        "https://shop/lamp",
        "default",
        NOON,
    )
    assert (found.passage.text, found.passage.start, found.passage.end) == ("The lamp costs 12 euros.", 0, 5)
    assert 0 <= found.score <= 1


async def test_what_fits_in_meaning_and_in_words_comes_first(shelf: Shelf) -> None:
    await shelf.publish(1, "grey linen shade", "costs twelve euros", "made in Porto")
    found = await shelf.find("costs euros", near=shelf.vector(0.2, 1, 0.1))
    assert found[0].passage.text == "costs twelve euros"
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


async def test_staged_passages_are_not_seen(shelf: Shelf) -> None:
    await shelf.stage(1, "costs 12")
    assert await shelf.find() == []


async def test_until_the_head_is_written_the_version_before_is_seen(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    key, document, passages = await shelf.stage(2, "costs 13")
    assert await shelf.texts() == ["costs 12"]
    before = (await shelf.index.heads([key]))[key]
    await shelf.index.put_head(published(next_head(before, key, 2, NOON), document, passages, NOON))
    assert await shelf.texts() == ["costs 13"]


async def test_old_passages_that_are_still_there_are_not_seen(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12", "is grey")
    await shelf.publish(2, "costs 13")
    assert await shelf.texts() == ["costs 13"]


async def test_a_large_document_that_changes_hides_no_other(shelf: Shelf) -> None:
    await shelf.publish(1, *(f"lamp {number}" for number in range(40)))
    await shelf.stage(2, *(f"lamp {number} new" for number in range(40)))
    await shelf.publish(1, "desk", document="desk")
    assert "desk" in await shelf.texts()


async def test_staging_again_changes_nothing(shelf: Shelf) -> None:
    await shelf.stage(1, "costs 12", "is grey")
    await shelf.publish(1, "costs 12", "is grey")
    assert await shelf.texts() == ["costs 12", "is grey"]


async def test_removing_others_leaves_the_version_and_other_documents(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    other = await shelf.publish(1, "a desk", document="desk")
    foreign = await shelf.publish(1, "another lamp", tenant="globex")
    head = await shelf.publish(2, "costs 13")
    await shelf.index.remove_others(head.key, 2)
    assert await shelf.texts() == ["a desk", "costs 13"]
    assert await shelf.texts(tenant="globex") == ["another lamp"]
    assert await shelf.index.vectors(head.key, 1) == {}
    assert len(await shelf.index.vectors(head.key, 2)) == 1
    assert len(await shelf.index.vectors(other.key, 1)) == len(await shelf.index.vectors(foreign.key, 1)) == 1


async def test_a_deleted_document_is_not_seen_even_while_its_passages_are_there(shelf: Shelf) -> None:
    head = await shelf.publish(1, "costs 12")
    await shelf.index.put_head(deleted(next_head(head, head.key, 2, NOON)))
    assert await shelf.find() == []
    await shelf.index.remove_others(head.key, -1)
    assert await shelf.index.vectors(head.key, 1) == {}


async def test_vectors_come_back_by_what_the_encoder_saw(shelf: Shelf) -> None:
    key, *_ = await shelf.stage(1, "costs 12", "is grey")
    vectors = await shelf.index.vectors(key, 1)
    assert set(vectors) == {"Lamp\ncosts 12", "Lamp\nis grey"}
    assert vectors["Lamp\nis grey"] == pytest.approx(shelf.vector(0, 1), abs=5e-3)
    assert await shelf.index.vectors(key, 2) == {}


async def test_tenants_do_not_see_each_other(shelf: Shelf) -> None:
    await shelf.publish(1, "canary of acme", tenant="acme")
    await shelf.publish(1, "canary of globex", tenant="globex")
    assert await shelf.texts("canary of acme", tenant="globex") == ["canary of globex"]
    assert await shelf.texts("canary of globex", tenant="acme") == ["canary of acme"]
    assert await shelf.texts("canary", tenant="acm") == []


async def test_groups_see_what_is_theirs_and_what_is_everybodys(shelf: Shelf) -> None:
    await shelf.publish(1, "for everybody", document="a")
    await shelf.publish(1, "for sales", document="b", groups=("sales",))
    await shelf.publish(1, "for sales and ops", document="c", groups=("ops", "sales"))
    assert await shelf.texts(groups=[]) == ["for everybody"]
    assert await shelf.texts(groups=["it"]) == ["for everybody"]
    assert await shelf.texts(groups=["ops"]) == ["for everybody", "for sales and ops"]
    assert await shelf.texts(groups=["it", "sales"]) == ["for everybody", "for sales", "for sales and ops"]
    assert await shelf.texts(groups=["sales"], tenant="globex") == []


async def test_a_document_that_loses_its_groups_is_everybodys_at_once(shelf: Shelf) -> None:
    await shelf.publish(1, "for sales", groups=("sales",))
    await shelf.publish(2, "for everybody")
    assert await shelf.texts(groups=[]) == ["for everybody"]
    await shelf.publish(3, "for sales again", groups=("sales",))
    assert await shelf.texts(groups=[]) == []


async def test_a_query_whose_words_nobody_wrote_still_finds_by_meaning(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    assert await shelf.texts("zzz") == ["costs 12"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param({"source_ids": ("wiki",)}, ["old"], id="source"),
        pytest.param({"source_ids": ("wiki", "shop")}, ["new", "old"], id="one_of_sources"),
        pytest.param({"languages": ("de",)}, ["new"], id="language"),
        pytest.param({"metadata": (("room", "hall"),)}, ["new", "old"], id="metadata"),
        pytest.param({"metadata": (("kind", "lamp"), ("room", "hall"))}, ["new"], id="all_of_the_metadata"),
        pytest.param({"since": NOON - timedelta(days=2)}, ["new", "plain"], id="since"),
        pytest.param({"until": NOON - timedelta(days=1)}, ["old"], id="until"),
        pytest.param({"since": NOON - timedelta(days=1), "until": NOON}, ["new"], id="between"),
        pytest.param({"languages": ("de",), "source_ids": ("wiki",)}, [], id="everything_must_hold"),
    ],
)
async def test_filters_leave_out_what_does_not_fit(shelf: Shelf, wanted: Any, expected: list[str]) -> None:
    hall, lamp = ("room", "hall"), ("kind", "lamp")
    day = timedelta(days=1)
    await shelf.publish(1, "old", document="a", source_id="wiki", metadata=(hall,), content_time=NOON - 9 * day)
    new = {"source_id": "shop", "language": "de", "metadata": (lamp, hall), "content_time": NOON - day}
    await shelf.publish(1, "new", document="b", **new)
    await shelf.publish(1, "plain", document="c")
    assert await shelf.texts(**wanted) == expected


async def test_filters_and_groups_must_both_hold(shelf: Shelf) -> None:
    for groups in ((), ("sales",), ("ops", "sales"), ("it",)):
        for source in ("wiki", "shop"):
            name = "-".join((source, *groups))
            await shelf.publish(1, name, document=name, source_id=source, groups=groups)
    assert await shelf.texts(groups=["ops", "hr"], source_ids=("wiki",)) == ["wiki", "wiki-ops-sales"]
    assert await shelf.texts(groups=["sales"], source_ids=("wiki",)) == ["wiki", "wiki-ops-sales", "wiki-sales"]
    assert await shelf.texts(groups=["sales"], source_ids=("press",)) == []
    assert await shelf.texts(groups=["sales"], tenant="globex", source_ids=("wiki",)) == []
    listed, _ = await shelf.index.list_heads("acme", ["ops"], "shop", 9, "")
    assert sorted(head.key.document_id for head in listed) == ["shop", "shop-ops-sales"]


async def test_a_passage_whose_next_version_was_refused_says_so(shelf: Shelf) -> None:
    head = await shelf.publish(1, "costs 12")
    await shelf.index.put_head(rejected(next_head(head, head.key, 2, NOON), "no text"))
    assert [found.freshness for found in await shelf.find()] == [Freshness.SUPERSEDED]


async def test_a_document_that_changed_between_the_two_looks_is_noticed(shelf: Shelf) -> None:
    if type(shelf.index).__name__ == "MemoryIndex":
        pytest.skip("the index in memory cannot change between two looks")
    await shelf.publish(1, "costs 12")
    ranked = await shelf.index.ranked(Scope("acme"), "lamp", shelf.vector(1))
    head = await shelf.publish(2, "costs 13")
    ids = [name for name, _ in fuse([ranked])]
    assert (await shelf.index.read("acme", ids)).lost
    await shelf.index.remove_others(head.key, 2)
    assert (await shelf.index.read("acme", ids)).lost


async def test_what_stands_around_a_passage_is_of_its_own_version(shelf: Shelf) -> None:
    await shelf.publish(1, "old a", "old b", "old c")
    await shelf.publish(2, "a", "b", "c", "d", "e")
    await shelf.publish(1, "x", "y", "z", document="desk")
    found = [each for each in await shelf.find() if each.passage.text == "c"]
    near = await shelf.index.around("acme", found, 1)
    assert {key: passage.text for key, passage in near.items()} == {
        ("lamp", 1): "b",
        ("lamp", 2): "c",
        ("lamp", 3): "d",
    }


async def test_vectors_of_found_passages(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12", "is grey", document="gone")
    [(gone, _), *_] = fuse([await shelf.index.ranked(Scope("acme"), "lamp", shelf.vector(0, 1))])
    await shelf.index.remove_others(DocumentKey("acme", "gone"), 2)
    await shelf.publish(1, "costs 12", "is grey")
    [(first, _), *_] = fuse([await shelf.index.ranked(Scope("acme"), "lamp", shelf.vector(0, 1))])
    vectors = await shelf.index.vectors_of([first, gone])
    assert vectors == {first: pytest.approx(shelf.vector(0, 1), abs=5e-3)}


async def test_documents_are_listed_page_by_page_to_those_who_may_see_them(shelf: Shelf) -> None:
    for number in range(5):
        await shelf.publish(1, "text", document=f"open-{number}", source_id="wiki" if number < 2 else "default")
    await shelf.publish(1, "text", document="closed", groups=("sales",))
    await shelf.publish(1, "text", tenant="globex")
    gone = await shelf.publish(1, "text", document="gone")
    await shelf.index.put_head(deleted(next_head(gone, gone.key, 2, NOON)))
    listed, token = [], ""
    while True:
        heads, token = await shelf.index.list_heads("acme", [], "", 2, token)
        listed += [head.key.document_id for head in heads]
        assert len(heads) <= 2
        if not token:
            break
    assert sorted(listed) == [f"open-{number}" for number in range(5)]
    wiki, _ = await shelf.index.list_heads("acme", [], "wiki", 9, "")
    assert sorted(head.key.document_id for head in wiki) == ["open-0", "open-1"]
    assert len((await shelf.index.list_heads("acme", ["sales"], "", 9, ""))[0]) == 6


async def test_a_token_that_nobody_gave_is_refused(shelf: Shelf) -> None:
    with pytest.raises(Invalid, match="page_token"):
        await shelf.index.list_heads("acme", [], "", 2, "next please")


async def test_documents_of_the_same_text_are_found_by_it(shelf: Shelf) -> None:
    head = await shelf.publish(1, "costs 12", document="a")
    await shelf.publish(1, "costs 12", document="b")
    await shelf.publish(1, "costs 12", document="c", groups=("sales",))
    await shelf.publish(1, "costs 12", document="a", tenant="globex")
    await shelf.publish(1, "costs 13", document="d")
    assert await shelf.index.same_text("acme", [], head.live.text_hash) == ["a", "b"]
    assert await shelf.index.same_text("acme", ["sales"], head.live.text_hash) == ["a", "b", "c"]


async def test_documents_of_nearly_the_same_text_are_found_by_it(shelf: Shelf) -> None:
    head = await shelf.publish(1, LONG, document="a")
    near = await shelf.publish(1, f"{LONG} and a footer", document="b")
    secret = await shelf.publish(1, f"{LONG} and another footer", document="c", groups=("sales",))
    await shelf.publish(1, LONG, document="the same")
    await shelf.publish(1, f"{LONG} and a footer", document="foreign", tenant="globex")
    await shelf.publish(1, " ".join(f"other{number}" for number in range(100)), document="d")
    gone = await shelf.publish(1, f"{LONG} gone", document="gone")
    await shelf.index.put_head(deleted(next_head(gone, gone.key, 2, NOON)))
    seen = {"b": near.live.sketch}
    assert await shelf.index.near_text("acme", [], head.live) == seen
    assert await shelf.index.near_text("acme", ["sales"], head.live) == seen | {"c": secret.live.sketch}


async def test_a_document_that_was_rewritten_is_found_by_its_new_text_only(shelf: Shelf) -> None:
    head = await shelf.publish(1, LONG, document="a")
    await shelf.publish(1, f"{LONG} and a footer", document="b")
    await shelf.publish(2, " ".join(f"other{number}" for number in range(100)), document="b")
    assert await shelf.index.near_text("acme", [], head.live) == {}


async def test_a_short_text_is_near_no_other(shelf: Shelf) -> None:
    head = await shelf.publish(1, "costs 12 euros", document="a")
    await shelf.publish(1, "costs 12 euros.", document="b")
    assert await shelf.index.near_text("acme", [], head.live) == {}


async def test_of_many_documents_of_nearly_the_same_text_a_part_is_looked_at(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[type(shelf.index).__module__]
    monkeypatch.setattr(module, "COMPARED", 3)
    monkeypatch.setattr(module, "NEAR_PAGE", 2, raising=False)
    head = await shelf.publish(1, LONG, document="a")
    for number in range(5):
        await shelf.publish(1, f"{LONG} footer {number}", document=f"b{number}")
    assert len(await shelf.index.near_text("acme", [], head.live)) == 3


async def test_a_source_comes_back_as_it_was_and_keeps_its_confirmation(shelf: Shelf) -> None:
    hour = timedelta(hours=1)
    wiki = Source("wiki", "The wiki", "anna", "wiki", Trust.HIGH, hour, 30 * hour, "CC-BY-4.0")
    await shelf.index.put_source("acme", wiki)
    await shelf.index.put_source("acme", Source("shop"))
    await shelf.index.put_source("globex", Source("wiki"))
    assert await shelf.index.sources("acme") == {"wiki": wiki, "shop": Source("shop")}
    await shelf.index.confirm_source("acme", "wiki", NOON)
    await shelf.index.put_source("acme", replace(wiki, owner="ben"))
    assert (await shelf.index.sources("acme"))["wiki"] == replace(wiki, owner="ben", confirmed_at=NOON)
    assert (await shelf.index.sources("globex"))["wiki"].confirmed_at is None


async def test_sources_are_no_documents(shelf: Shelf) -> None:
    await shelf.index.put_source("acme", Source("wiki"))
    assert await shelf.index.list_heads("acme", [], "", 9, "") == ([], "")


async def test_a_sources_documents_are_all_there_for_who_keeps_it(shelf: Shelf) -> None:
    await shelf.publish(1, "text", document="open", source_id="wiki", metadata=(("fingerprint", "etag:7"),))
    await shelf.publish(1, "text", document="closed", source_id="wiki", groups=("sales",))
    await shelf.publish(1, "text", document="other")
    await shelf.publish(1, "text", tenant="globex", source_id="wiki")
    gone = await shelf.publish(1, "text", document="gone", source_id="wiki")
    await shelf.index.put_head(deleted(next_head(gone, gone.key, 2, NOON)))
    heads = {head.key.document_id: head.live.fingerprint for head in await shelf.index.heads_of("acme", "wiki")}
    assert heads == {"open": "etag:7", "closed": ""}


async def test_tenants_are_those_that_registered_a_source(shelf: Shelf) -> None:
    assert await shelf.index.tenants() == []
    await shelf.publish(1, "text", tenant="umbrella")
    for tenant, source in (("globex", "wiki"), ("acme", "wiki"), ("acme", "shop")):
        await shelf.index.put_source(tenant, Source(source))
    assert await shelf.index.tenants() == ["acme", "globex"]
