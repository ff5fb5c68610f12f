"""Documents in: accepted, deleted, asked about, waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.memory import MemoryIndex
from plumbline_retrieval.domain.document import Document, DocumentKey
from plumbline_retrieval.domain.head import Head, deleted, next_head, published
from plumbline_retrieval.domain.likeness import sketch
from plumbline_retrieval.domain.source import Freshness, Source
from plumbline_retrieval.handlers.documents import (
    Acceptance,
    DeleteDocument,
    GetDocument,
    Statuses,
    SubmitDocument,
    View,
    WaitForDocument,
)
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import WAIT_SECONDS, PutSource, Registry

Make = Callable[..., Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA = Identity("acme", "anna")
KEY = DocumentKey("acme", "lamp")


@dataclass
class MemoryCorpus:
    """`Corpus` in a list."""

    records: list[tuple[DocumentKey, Document | None]] = field(default_factory=list)
    away: bool = False
    before_ack: Callable[[int], Awaitable[None]] | None = None

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        if self.away:
            raise Unavailable("the event log is away")
        self.records.append((key, document))
        if self.before_ack is not None:
            await self.before_ack(len(self.records) - 1)
        return len(self.records) - 1


class Desk:
    """The four use cases on one index."""

    def __init__(self) -> None:
        self.corpus, self.index, self.progress = MemoryCorpus(), MemoryIndex(), Progress()
        self.readiness = Readiness(complete=True)
        acceptance = Acceptance(self.corpus, [View(self.index, self.progress)])
        self.registry = Registry(self.index, FakeClock(), complete=True)
        statuses = Statuses(self.index, self.progress, self.registry)
        self.submit = SubmitDocument(acceptance, self.registry)
        self.delete = DeleteDocument(acceptance, self.index, self.progress, self.readiness)
        self.get = GetDocument(self.index, statuses, self.readiness)
        self.wait = WaitForDocument(self.index, statuses, self.progress)

    async def indexed(self, version: int, **fields: Any) -> Head:
        before = (await self.index.heads([KEY])).get(KEY)
        document = Document(**({"document_id": "lamp", "title": "Lamp", "text": "costs 12"} | fields))
        return await self._reached(published(next_head(before, KEY, version, NOON), document, [], NOON))

    async def removed(self, version: int) -> Head:
        before = (await self.index.heads([KEY])).get(KEY)
        return await self._reached(deleted(next_head(before, KEY, version, NOON)))

    async def _reached(self, head: Head) -> Head:
        await self.index.put_head(head)
        self.progress.reached(KEY, head.version)
        return head


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_submitted_document_is_in_the_corpus_under_its_tenant(desk: Desk, document: Make) -> None:
    lamp = document("costs 12")
    assert await desk.submit(ANNA, lamp) == 0
    assert desk.corpus.records == [(KEY, lamp)]


async def test_nothing_is_accepted_while_the_log_is_away(desk: Desk, document: Make) -> None:
    desk.corpus.away = True
    with pytest.raises(Unavailable):
        await desk.submit(ANNA, document("costs 12"))
    with pytest.raises(NotFound):
        await desk.delete(ANNA, "lamp")


async def test_a_live_document_can_be_deleted(desk: Desk) -> None:
    await desk.indexed(4)
    assert await desk.delete(ANNA, "lamp") == 0
    assert desk.corpus.records == [(KEY, None)]


@pytest.mark.parametrize("history", ["never_there", "deleted", "of_another_tenant"])
async def test_a_document_that_is_not_there_cannot_be_deleted(desk: Desk, history: str) -> None:
    if history != "never_there":
        await desk.indexed(1)
    if history == "deleted":
        await desk.removed(2)
    caller = Identity("globex", "gus") if history == "of_another_tenant" else ANNA
    with pytest.raises(NotFound, match="lamp"):
        await desk.delete(caller, "lamp")
    assert desk.corpus.records == []


async def test_a_document_can_be_deleted_before_it_is_indexed(desk: Desk, document: Make) -> None:
    await desk.submit(ANNA, document("costs 12"))
    assert await desk.delete(ANNA, "lamp") == 1


async def test_a_deletion_that_was_indexed_before_it_was_acknowledged_is_not_on_its_way(desk: Desk) -> None:
    await desk.indexed(-1)

    async def indexer_is_faster(version: int) -> None:
        await desk.removed(version)

    desk.corpus.before_ack = indexer_is_faster
    await desk.delete(ANNA, "lamp")
    with pytest.raises(NotFound):
        await desk.delete(ANNA, "lamp")


async def test_what_is_not_known_is_not_denied_while_the_index_is_rebuilt(desk: Desk) -> None:
    desk.readiness.complete = False
    for use in (desk.get, desk.delete):
        with pytest.raises(Unavailable, match="rebuilt"):
            await use(ANNA, "lamp")


async def test_a_known_document_says_what_is_known_of_it(desk: Desk) -> None:
    head = await desk.indexed(3)
    status = await desk.get(ANNA, "lamp")
    assert (status.head, status.as_of, status.freshness) == (head, NOON, Freshness.CURRENT)
    assert status.duplicate_ids == ()


@pytest.mark.parametrize("caller", [Identity("globex", "gus", ("sales",)), Identity("acme", "otto", ("ops",))])
async def test_a_document_of_others_does_not_exist(desk: Desk, caller: Identity) -> None:
    await desk.indexed(3, groups=("sales",))
    with pytest.raises(NotFound):
        await desk.get(caller, "lamp")
    await desk.removed(4)
    with pytest.raises(NotFound):
        await desk.get(caller, "lamp")


async def test_waiting_ends_at_once_for_what_was_reached(desk: Desk) -> None:
    await desk.indexed(3)
    for version in (1, 3):
        assert (await desk.wait(ANNA, "lamp", version)).head.version == 3


async def test_waiting_ends_when_the_version_or_a_newer_one_is_reached(desk: Desk) -> None:
    await desk.indexed(1)
    waits = [asyncio.create_task(desk.wait(ANNA, "lamp", version)) for version in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    await desk.indexed(2)
    assert (await waits[0]).head.version == 2
    await desk.removed(4)
    assert [(await wait).head.version for wait in waits[1:3]] == [4, 4]
    assert not waits[3].done()
    waits[3].cancel()


async def test_who_gives_up_waiting_is_forgotten(desk: Desk) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await desk.wait(ANNA, "lamp", 1)
    assert not desk.progress._waiting  # a leak shows nowhere else


async def test_who_submits_for_a_group_may_wait_without_learning_the_title(desk: Desk) -> None:
    await desk.indexed(3, groups=("sales",))
    assert (await desk.wait(ANNA, "lamp", 3)).head.live.title == ""
    assert (await desk.wait(Identity("acme", "sam", ("sales",)), "lamp", 3)).head.live.title == "Lamp"


async def test_a_document_of_an_unregistered_source_is_refused_and_not_recorded(desk: Desk) -> None:
    with pytest.raises(Invalid, match="wiki, which is not registered"):
        await desk.submit(ANNA, Document("lamp", "Lamp", "costs 12", source_id="wiki"))
    assert desk.corpus.records == []
    await desk.index.put_source("acme", Source("wiki"))
    assert await desk.submit(ANNA, Document("lamp", "Lamp", "costs 12", source_id="wiki")) == 0


async def test_an_id_that_is_a_facts_is_refused(desk: Desk) -> None:
    with pytest.raises(Invalid, match="facts/"):
        await desk.submit(ANNA, Document("facts/lamp/price", "Lamp", "costs 12"))


async def test_a_document_says_which_others_have_the_same_text(desk: Desk) -> None:
    await desk.indexed(3)
    copy = DocumentKey("acme", "lamp copy")
    await desk.index.put_head(published(next_head(None, copy, 1, NOON), Document("x", "Lamp", "costs 12"), [], NOON))
    assert (await desk.get(ANNA, "lamp")).duplicate_ids == ("lamp copy",)


async def test_a_document_says_which_others_have_nearly_the_same_text(desk: Desk) -> None:
    text = " ".join(f"word{number}" for number in range(100))
    texts = {"lamp": text, "same": text, "footer": f"{text} all rights reserved", "upper": text.upper(), "other": "12"}
    for name, each in texts.items():
        head = next_head(None, DocumentKey("acme", name), 1, NOON)
        await desk.index.put_head(published(head, Document(name, "Lamp", each), [], NOON, sketch(each)))
    status = await desk.get(ANNA, "lamp")
    assert status.duplicate_ids == ("same",)
    assert [near.document_id for near in status.near] == ["upper", "footer"]
    assert status.near[0].similarity == 1.0 > status.near[1].similarity > 0.9
    assert (await desk.get(ANNA, "other")).near == ()


async def test_a_document_on_its_way_supersedes_the_one_shown(desk: Desk) -> None:
    await desk.indexed(3)
    desk.progress.accepted(KEY, 4)
    assert (await desk.get(ANNA, "lamp")).freshness is Freshness.SUPERSEDED


async def test_a_version_that_another_process_indexed_is_no_longer_on_its_way(desk: Desk) -> None:
    await desk.indexed(3)
    desk.progress.accepted(KEY, 4)
    before = (await desk.index.heads([KEY]))[KEY]
    document = Document("lamp", "Lamp", "costs 13")
    await desk.index.put_head(published(next_head(before, KEY, 4, NOON), document, [], NOON))
    assert (await desk.get(ANNA, "lamp")).freshness is Freshness.CURRENT
    assert not desk.progress.is_on_its_way(KEY)


async def test_a_document_is_accepted_although_the_index_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(keys: object) -> dict[object, object]:
        raise Unavailable("the index cannot be used")

    monkeypatch.setattr(desk.index, "heads", away)
    assert await desk.submit(ANNA, Document("lamp", "Lamp", "costs 12")) == 0


async def test_a_source_that_does_not_come_into_force_is_waited_for_so_long_and_no_longer(desk: Desk) -> None:
    with pytest.raises(Unavailable, match="not in force"):
        await PutSource(SilentLog(), desk.registry)(ANNA, Source("wiki"))
    assert desk.registry.clock.monotonic() == pytest.approx(WAIT_SECONDS, abs=1)


class SilentLog:
    """The part of `Corpus` for sources, read by nobody."""

    async def append_source(self, tenant: str, source: Source) -> None:
        pass
