"""What its source has not confirmed for too long is deleted, and nothing else."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.memory import MemoryIndex
from plumbline_retrieval.domain.document import Document, DocumentKey
from plumbline_retrieval.domain.head import EVER, deleted, next_head, published
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.handlers.documents import Acceptance, DeleteDocument, View
from plumbline_retrieval.handlers.polling import KnownDocument
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import Registry
from plumbline_retrieval.handlers.retention import SWEEP_SECONDS, RetentionSweeper, SweepRetention

NOW = datetime(2026, 1, 31, tzinfo=UTC)
WEEK = timedelta(days=7)


@dataclass
class Archive:
    """An index with documents of a source that keeps them for a week."""

    index: MemoryIndex = field(default_factory=MemoryIndex)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    progress: Progress = field(default_factory=Progress)
    removed: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    away: bool = False

    def __post_init__(self) -> None:
        self.registry = Registry(self.index, self.clock, complete=True)
        self.settled = True

    async def source(self, source_id: str = "wiki", retention: timedelta | None = WEEK) -> None:
        await self.index.put_source("acme", Source(source_id, retention=retention))

    async def keep(self, name: str, *, days_ago: float, source_id: str = "wiki") -> None:
        key, submitted = DocumentKey("acme", name), NOW - timedelta(days=days_ago)
        document = Document(name, "", "text", groups=("sales",), source_id=source_id)
        await self.index.put_head(published(next_head(None, key, 1, submitted), document, [], submitted))

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        self.removed.append(key.document_id)
        head = (await self.index.heads([key]))[key]
        await self.index.put_head(deleted(next_head(head, key, 2, NOW)))
        return 2

    async def tenants(self) -> Sequence[str]:
        return ["acme"]

    async def documents(self, tenant: str, source_id: str) -> dict[str, KnownDocument]:
        if self.away:
            raise Unavailable("the index is being rebuilt")
        heads, _ = await self.index.list_heads(tenant, ("sales",), source_id, 100, "")
        return {
            head.key.document_id: KnownDocument("", "", "", (), EVER)
            if head.key.document_id in self.dead
            else KnownDocument("", head.live.text_hash, "", head.groups, head.live.submitted_at)
            for head in heads
        }

    def sweep(self) -> SweepRetention:
        acceptance = Acceptance(self, [View(self.index, self.progress)])
        delete = DeleteDocument(acceptance, self.index, self.progress, Readiness(complete=True))
        return SweepRetention(self, self.registry, self, delete, lambda: self.settled)


@pytest.fixture
async def archive() -> Archive:
    archive = Archive()
    await archive.source()
    return archive


async def test_documents_go_when_their_source_has_not_confirmed_them_for_its_retention(archive: Archive) -> None:
    await archive.keep("old", days_ago=7.1)
    await archive.keep("young", days_ago=6.9)
    assert await archive.sweep()() == 1
    assert archive.removed == ["old"]
    assert await archive.sweep()() == 0


async def test_a_confirmed_source_keeps_its_documents(archive: Archive) -> None:
    await archive.keep("old", days_ago=20)
    await archive.index.confirm_source("acme", "wiki", NOW - timedelta(days=6))
    assert await archive.sweep()() == 0
    archive.clock.advance(2 * 24 * 3600)
    assert await archive.sweep()() == 1


async def test_a_source_without_retention_keeps_its_documents_for_ever(archive: Archive) -> None:
    await archive.source("policy", None)
    await archive.keep("old", days_ago=10_000, source_id="policy")
    await archive.keep("nobodys", days_ago=10_000, source_id="default")
    assert await archive.sweep()() == 0


async def test_nothing_goes_before_all_confirmations_are_known(archive: Archive) -> None:
    await archive.keep("old", days_ago=20)
    archive.registry.complete = False
    assert await archive.sweep()() == 0


async def test_a_document_with_a_newer_version_on_its_way_stays(archive: Archive) -> None:
    await archive.keep("old", days_ago=20)
    archive.progress.accepted(DocumentKey("acme", "old"), 5)
    assert await archive.sweep()() == 0


async def test_facts_and_what_was_never_live_stay(archive: Archive) -> None:
    await archive.keep("facts/lamp/price", days_ago=20)
    await archive.keep("rejected", days_ago=20)
    archive.dead.add("rejected")
    assert await archive.sweep()() == 0


async def test_a_document_that_somebody_else_deletes_first_is_not_counted(archive: Archive) -> None:
    await archive.keep("old", days_ago=20)
    sweep = archive.sweep()
    stale = await archive.documents("acme", "wiki")
    await archive.append(DocumentKey("acme", "old"), None)

    async def as_it_was(tenant: str, source_id: str) -> dict[str, KnownDocument]:
        return stale

    archive.documents = as_it_was
    assert await sweep() == 0


class Naps(FakeClock):
    """Notes each nap; the third never ends."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.taken: list[float] = []
        self.tired = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) == 3:
            self.tired.set()
            await asyncio.Event().wait()
        await super().sleep(seconds)


@pytest.mark.parametrize("away", [True, False])
async def test_the_sweeper_sweeps_every_minute_whatever_goes_wrong(archive: Archive, away: bool) -> None:
    archive.away = away
    await archive.keep("old", days_ago=20)
    clock = Naps()
    sweeper = RetentionSweeper(archive.sweep(), clock)
    with capture_logs() as logged:
        running = asyncio.create_task(sweeper.run())
        await clock.tired.wait()
        await sweeper.stop()
        await running
    assert clock.taken == [SWEEP_SECONDS] * 3
    events = [each["event"] for each in logged]
    assert events == (["retention_sweep_failed"] * 3 if away else ["retention_swept"])


async def test_nothing_goes_while_the_index_is_behind_what_was_accepted(archive: Archive) -> None:
    await archive.source()
    await archive.keep("old", days_ago=30)
    archive.settled = False
    assert await archive.sweep()() == 0
    archive.settled = True
    assert await archive.sweep()() == 1
