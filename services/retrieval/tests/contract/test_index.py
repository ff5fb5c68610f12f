"""What every index promises, on the one in memory and on the engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from plumbline_retrieval.domain.document import (
    Change,
    Document,
    DocumentKey,
    Found,
    Head,
    Passage,
    State,
    deleted,
    next_head,
    published,
)
from plumbline_retrieval.domain.ranking import Query
from plumbline_retrieval.ports import Index

Make = Callable[..., Any]

NOON = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@dataclass
class Shelf:
    """An index and short words for what one does with it."""

    index: Index
    vector: Make

    async def stage(
        self, version: int, *texts: str, tenant: str = "acme", document: str = "lamp", groups: tuple[str, ...] = ()
    ) -> tuple[DocumentKey, Document, list[Passage]]:
        key = DocumentKey(tenant, document)
        made = Document(document, "Lamp", " ".join(texts), "https://shop/lamp", groups)
        passages = [Passage(number, 10 * number, 10 * number + 5, text) for number, text in enumerate(texts)]
        vectors = np.stack([self.vector(*([0] * number), 1) for number in range(len(texts))])
        await self.index.stage(key, version, made, passages, vectors)
        return key, made, passages

    async def publish(self, version: int, *texts: str, **where: Any) -> Head:
        key, document, passages = await self.stage(version, *texts, **where)
        before = (await self.index.heads([key])).get(key)
        head = published(next_head(before, key, version, NOON), document, passages)
        await self.index.put_head(head)
        return head

    async def find(
        self, text: str = "lamp", *, tenant: str = "acme", groups: Sequence[str] = (), limit: int = 8, near: Any = None
    ) -> list[Found]:
        vector = self.vector(1) if near is None else near
        return await self.index.search(tenant, groups, Query(text, limit), vector)

    async def texts(self, *arguments: Any, **fields: Any) -> list[str]:
        return sorted(found.text for found in await self.find(*arguments, **fields))


@pytest.fixture
def shelf(index: Index, vector: Make) -> Shelf:
    return Shelf(index, vector)


async def test_an_empty_index_finds_nothing_and_knows_no_head(shelf: Shelf) -> None:
    assert await shelf.find() == []
    assert await shelf.index.heads([DocumentKey("acme", "lamp")]) == {}
    assert await shelf.index.heads([]) == {}


@pytest.mark.parametrize("change", [None, Change(3, 4, False, ("h1",), ("h2", "h3"), NOON)])
async def test_a_head_comes_back_as_it_was(shelf: Shelf, change: Change | None) -> None:
    key = DocumentKey("acme", "shop/lamp é")
    head = Head(key, 4, State.REJECTED, NOON, 3, "Lamp", ("ops", "sales"), ("h2", "h3"), "no text", change, True)
    await shelf.index.put_head(head)
    assert await shelf.index.heads([key, DocumentKey("acme", "other")]) == {key: head}


async def test_the_newest_head_counts(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    head = await shelf.publish(2, "costs 13")
    assert await shelf.index.heads([head.key]) == {head.key: head}


async def test_a_found_passage_has_all_that_a_reader_needs(shelf: Shelf) -> None:
    head = await shelf.publish(7, "The lamp costs 12 euros.")
    [found] = await shelf.find("What does the lamp cost?")
    assert (found.ref.document_id, found.ref.version, (found.ref.passage_hash,)) == ("lamp", 7, head.passage_hashes)
    assert (found.title, found.url) == ("Lamp", "https://shop/lamp")
    assert (found.text, found.start, found.end) == ("The lamp costs 12 euros.", 0, 5)
    assert 0 <= found.score <= 1


async def test_what_fits_in_meaning_and_in_words_comes_first(shelf: Shelf) -> None:
    await shelf.publish(1, "grey linen shade", "costs twelve euros", "made in Porto")
    found = await shelf.find("costs euros", near=shelf.vector(0.2, 1, 0.1))
    assert found[0].text == "costs twelve euros"
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


async def test_no_more_passages_than_asked_for(shelf: Shelf) -> None:
    await shelf.publish(1, *(f"part {number}" for number in range(20)))
    assert len(await shelf.find(limit=3)) == 3
    assert len(await shelf.find(limit=100)) == 20


async def test_staged_passages_are_not_seen(shelf: Shelf) -> None:
    await shelf.stage(1, "costs 12")
    assert await shelf.find() == []


async def test_until_the_head_is_written_the_version_before_is_seen(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12")
    key, document, passages = await shelf.stage(2, "costs 13")
    assert await shelf.texts() == ["costs 12"]
    before = (await shelf.index.heads([key]))[key]
    await shelf.index.put_head(published(next_head(before, key, 2, NOON), document, passages))
    assert await shelf.texts() == ["costs 13"]


async def test_old_passages_that_are_still_there_are_not_seen(shelf: Shelf) -> None:
    await shelf.publish(1, "costs 12", "is grey")
    await shelf.publish(2, "costs 13")
    assert await shelf.texts() == ["costs 13"]


async def test_a_large_document_that_changes_hides_no_other(shelf: Shelf) -> None:
    await shelf.publish(1, *(f"lamp {number}" for number in range(40)))
    await shelf.stage(2, *(f"lamp {number} new" for number in range(40)))
    await shelf.publish(1, "desk", document="desk")
    assert len(await shelf.find(limit=8)) == 8
    assert "desk" in await shelf.texts(limit=100)


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


async def test_vectors_come_back_by_hash(shelf: Shelf) -> None:
    key, _, passages = await shelf.stage(1, "costs 12", "is grey")
    vectors = await shelf.index.vectors(key, 1)
    assert set(vectors) == {passage.hash for passage in passages}
    assert vectors[passages[1].hash] == pytest.approx(shelf.vector(0, 1), abs=1e-6)
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
