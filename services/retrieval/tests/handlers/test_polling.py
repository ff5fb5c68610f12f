"""Documents that come by themselves: from a real folder, and from an origin that misbehaves."""

import asyncio
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.memory import MemoryIndex
from plumbline_retrieval.adapters.origins import FolderOrigin
from plumbline_retrieval.adapters.reading import read
from plumbline_retrieval.domain.content import Content, File
from plumbline_retrieval.domain.document import Document, DocumentKey
from plumbline_retrieval.domain.head import deleted, next_head, published
from plumbline_retrieval.domain.origin import Fetched, Item, Kind, Listing, PolledSource
from plumbline_retrieval.domain.source import Source, Trust
from plumbline_retrieval.handlers.documents import Acceptance, DeleteDocument, SubmitDocument, View
from plumbline_retrieval.handlers.polling import (
    FAILURES_IN_A_ROW,
    KnownDocument,
    Origin,
    Outcome,
    Polled,
    Poller,
    PollSource,
)
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import PutSource, Registry

START = datetime(2026, 1, 1, tzinfo=UTC)


class Reader:
    """`Reader` in the process, which counts."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    async def read(self, file: File) -> Content:
        self.reads.append(file.name)
        return read(file)


@dataclass
class MemoryOrigin:
    """`Origin` in a dict of texts, or of errors; its fingerprints are the texts, or unknown."""

    texts: dict[str, str | Exception]
    cheap: bool = True
    complete: bool = True
    unsettled: set[str] = field(default_factory=set)
    error: Exception | None = None
    fetched: list[str] = field(default_factory=list)

    async def items(self) -> Listing:
        if self.error is not None:
            raise self.error
        return Listing([self._item(name) for name in self.texts], self.complete)

    async def fetch(self, item: Item, held: str) -> Fetched | None:
        self.fetched.append(item.place)
        text = self.texts[item.place]
        if isinstance(text, Exception):
            raise text
        return None if held == f"is {text}" else Fetched(File(item.place, text.encode()), f"is {text}")

    def _item(self, name: str) -> Item:
        fingerprint = f"is {self.texts[name]}" if self.cheap else ""
        return Item(
            f"wiki/{name}", name, fingerprint, f"https://wiki.example/{name}", settled=name not in self.unsettled
        )


class Platform:
    """A log, and an index that follows it at once unless it lags: what stays when the poller restarts."""

    def __init__(self) -> None:
        self.clock, self.index, self.progress = FakeClock(START), MemoryIndex(), Progress()
        self.registry = Registry(self.index, self.clock, complete=True)
        self.log: list[tuple[str, Document | None]] = []
        self.documents: dict[DocumentKey, Document] = {}
        self.confirmations: list[datetime] = []
        self.lags = self.away = False
        self._waiting: list[tuple[int, DocumentKey, Document | None]] = []

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        if self.away:
            raise Unavailable("the event log is away")
        self.log.append((key.document_id, document))
        self._waiting.append((len(self.log), key, document))
        if not self.lags:
            await self.catch_up()
        return len(self.log)

    async def append_source(self, tenant: str, source: Source) -> None:
        await self.index.put_source(tenant, source)

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        self.confirmations.append(at)
        await self.index.confirm_source(tenant, source_id, at)

    async def catch_up(self) -> None:
        for version, key, document in self._waiting:
            head = next_head((await self.index.heads([key])).get(key), key, version, self.clock.now())
            if document is None:
                await self.index.put_head(deleted(head))
            else:
                self.documents[key] = document
                await self.index.put_head(published(head, document, [], self.clock.now()))
            self.progress.reached(key, version)
        self._waiting.clear()

    async def known(self, tenant: str, source_id: str) -> dict[str, KnownDocument]:
        heads, _ = await self.index.list_heads(tenant, ("sales",), source_id, 1_000, "")
        return {
            head.key.document_id: KnownDocument(
                dict(self.documents[head.key].metadata).get("fingerprint", ""),
                head.live.text_hash,
                head.live.title,
                head.groups,
                head.live.submitted_at,
            )
            for head in heads
        }


class KnownOf:
    """`Known` from the index's heads."""

    def __init__(self, platform: Platform) -> None:
        self.documents = platform.known


@dataclass
class Desk:
    """One source, polled from an origin."""

    origin: Origin
    location: str = "/srv/wiki"
    platform: Platform = field(default_factory=Platform)
    reader: Reader = field(default_factory=Reader)

    def poll(self, **plan: Any) -> PollSource:
        """A poller as it is after a restart."""
        platform = self.platform
        source = PolledSource("acme", "wiki", Kind.FOLDER, self.location, timedelta(minutes=5), **plan)
        acceptance = Acceptance(platform, [View(platform.index, platform.progress)])
        return PollSource(
            source,
            self.origin,
            KnownOf(platform),
            self.reader,
            PutSource(platform, platform.registry),
            SubmitDocument(acceptance, platform.registry),
            DeleteDocument(acceptance, platform.index, platform.progress, Readiness(complete=True)),
            platform,
            platform.clock,
        )

    def submitted(self) -> list[str]:
        """Ids of what was submitted and deleted since the last call, in order; deleted ones with a minus."""
        names = [name if document else f"-{name}" for name, document in self.platform.log]
        self.platform.log.clear()
        return names


def counts(polled: Polled) -> dict[str, int]:
    """What is not zero of a poll's counts."""
    found = {outcome.value: count for outcome, count in polled.counts.items()} | {"gone": polled.gone}
    return {name: count for name, count in found.items() if count}


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryOrigin({"a.md": "Alpha", "b.md": "Beta"}))


class Folder:
    """A real folder whose files were last changed when the test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changes = 0

    def write(self, name: str, text: str, *, seconds_ago: float | None = None) -> None:
        self.changes += 1
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed = START.timestamp() - (1_000 - self.changes if seconds_ago is None else seconds_ago)
        os.utime(path, (changed, changed))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "wiki")
    folder.write("a.md", "# Alpha\n\nThe lamp costs 12.")
    folder.write("deep/b.md", "# Beta\n\nThe desk costs 90.")
    return folder


@pytest.fixture
def folder_desk(folder: Folder) -> Desk:
    platform = Platform()
    source = PolledSource("acme", "wiki", Kind.FOLDER, str(folder.path), timedelta(minutes=5))
    return Desk(FolderOrigin(source, platform.clock), str(folder.path), platform)


async def test_files_of_a_folder_become_documents(folder_desk: Desk) -> None:
    plan = {"groups": ("sales",), "language": "en"}
    assert counts(await folder_desk.poll(**plan)()) == {"new": 2}
    document = folder_desk.platform.documents[DocumentKey("acme", "wiki/deep/b.md")]
    assert (document.title, document.source_id, document.groups, document.language) == (
        "Beta",
        "wiki",
        ("sales",),
        "en",
    )
    assert "The desk costs 90." in document.text
    assert document.content_time is not None
    assert document.content_time < START


async def test_only_what_changed_in_the_folder_is_submitted(folder_desk: Desk, folder: Folder) -> None:
    poll = folder_desk.poll()
    await poll()
    folder_desk.submitted()
    folder.write("a.md", "# Alpha\n\nThe lamp costs 13.")
    folder.write("c.md", "# Gamma\n\nThe chair costs 40.")
    assert counts(await poll()) == {"new": 1, "changed": 1, "unchanged": 1}
    assert sorted(folder_desk.submitted()) == ["wiki/a.md", "wiki/c.md"]


async def test_a_file_that_was_removed_or_renamed_leaves_the_index(folder_desk: Desk, folder: Folder) -> None:
    poll = folder_desk.poll()
    await poll()
    folder_desk.submitted()
    (folder.path / "a.md").rename(folder.path / "renamed.md")
    assert counts(await poll()) == {"new": 1, "unchanged": 1, "gone": 1}
    assert folder_desk.submitted() == ["wiki/renamed.md", "-wiki/a.md"]


async def test_a_file_that_was_only_touched_is_read_once_and_not_submitted(folder_desk: Desk, folder: Folder) -> None:
    poll = folder_desk.poll()
    await poll()
    folder_desk.reader.reads.clear()
    folder.write("a.md", "# Alpha\n\nThe lamp costs 12.")
    for _ in range(2):
        assert counts(await poll()) == {"unchanged": 2}
    assert folder_desk.reader.reads == ["a.md"]
    assert len(folder_desk.submitted()) == 2


async def test_a_file_that_is_being_written_keeps_its_old_version_until_it_is_done(
    folder_desk: Desk, folder: Folder
) -> None:
    poll = folder_desk.poll()
    await poll()
    folder_desk.submitted()
    folder.write("a.md", "# Alp", seconds_ago=0.5)
    polled = await poll()
    assert (counts(polled), polled.confirmed) == ({"unchanged": 1, "unsettled": 1}, False)
    assert folder_desk.submitted() == []
    folder_desk.platform.clock.advance(1)
    assert counts(await poll()) == {"unchanged": 1, "changed": 1}


async def test_a_restarted_poller_reads_and_submits_nothing_again(folder_desk: Desk) -> None:
    await folder_desk.poll()()
    folder_desk.submitted()
    folder_desk.reader.reads.clear()
    polled = await folder_desk.poll()()
    assert (counts(polled), polled.confirmed) == ({"unchanged": 2}, True)
    assert (folder_desk.submitted(), folder_desk.reader.reads) == ([], [])


async def test_a_folder_that_moved_away_deletes_and_confirms_nothing(folder_desk: Desk, folder: Folder) -> None:
    poll = folder_desk.poll()
    await poll()
    folder_desk.submitted()
    confirmed = list(folder_desk.platform.confirmations)
    folder.path.rename(folder.path.with_name("moved"))
    with pytest.raises(Unavailable, match="no folder"):
        await poll()
    folder.path.mkdir()
    with capture_logs() as logged:
        polled = await poll()
    assert (counts(polled), polled.confirmed) == ({}, False)
    assert [(each["event"], each["known"]) for each in logged] == [("polled_source_shrank", 2)]
    assert (folder_desk.submitted(), folder_desk.platform.confirmations) == ([], confirmed)


@pytest.mark.parametrize(("known", "left", "deletes"), [(12, 5, False), (12, 6, True), (10, 1, True), (3, 1, True)])
async def test_only_a_large_source_that_loses_most_of_its_documents_is_taken_for_broken(
    desk: Desk, known: int, left: int, deletes: bool
) -> None:
    desk.origin = MemoryOrigin({f"{number}.md": f"Text {number}" for number in range(known)})
    poll = desk.poll()
    await poll()
    desk.origin.texts = {f"{number}.md": f"Text {number}" for number in range(left)} | {"new.md": "New"}
    polled = await poll()
    assert (polled.gone, polled.confirmed) == (known - left if deletes else 0, deletes)
    assert polled.counts[Outcome.NEW] == 1


async def test_pages_that_are_all_missing_at_once_are_not_deleted(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    desk.origin = poll.origin = MemoryOrigin(dict.fromkeys(("a.md", "b.md"), NotFound("404")), cheap=False)
    polled = await poll()
    assert (counts(polled), polled.confirmed) == ({"vanished": 2}, False)


async def test_a_listed_page_that_is_missing_is_deleted(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    desk.submitted()
    poll.origin.texts["b.md"] = NotFound("404")
    polled = await poll()
    assert (counts(polled), polled.confirmed) == ({"unchanged": 1, "vanished": 1, "gone": 1}, True)
    assert desk.submitted() == ["-wiki/b.md"]


async def test_a_source_is_confirmed_as_of_the_moment_its_poll_began(desk: Desk) -> None:
    class Slow(MemoryOrigin):
        async def items(self) -> Listing:
            desk.platform.clock.advance(30)
            return await super().items()

    desk.origin = Slow({"a.md": "Alpha"})
    assert (await desk.poll()()).confirmed
    assert desk.platform.confirmations == [START]


async def test_a_file_that_cannot_be_read_is_told_once_and_the_others_go_on(desk: Desk) -> None:
    desk.origin = MemoryOrigin({"a.md": "\0\0", "b.md": "Beta"})
    poll = desk.poll()
    with capture_logs() as logged:
        first, second = await poll(), await poll()
    assert (counts(first), counts(second)) == ({"refused": 1, "new": 1}, {"refused": 1, "unchanged": 1})
    assert first.confirmed  # what the index holds of the source is what the source says
    assert [each["document_id"] for each in logged if each["event"] == "polled_document_refused"] == ["wiki/a.md"]


async def test_a_known_file_that_became_unreadable_leaves_its_source_unconfirmed(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    poll.origin.texts["a.md"] = "\0\0"
    polled = await poll()
    assert (counts(polled), polled.confirmed) == ({"refused": 1, "unchanged": 1}, False)


async def test_a_page_that_fails_does_not_hide_those_after_it(desk: Desk) -> None:
    desk.origin = MemoryOrigin({"a.md": Unavailable("500"), "b.md": "Beta", "c.md": "Gamma"})
    polled = await desk.poll()()
    assert (counts(polled), polled.confirmed) == ({"failed": 1, "new": 2}, False)


async def test_failures_between_pages_that_come_do_not_end_the_poll(desk: Desk) -> None:
    half = 2 * FAILURES_IN_A_ROW
    desk.origin = MemoryOrigin({f"{n}.md": f"Text {n}" if n % 2 else Unavailable("500") for n in range(2 * half)})
    assert counts(await desk.poll()()) == {"failed": half, "new": half}


async def test_an_origin_that_keeps_failing_ends_the_poll(desk: Desk) -> None:
    origin = MemoryOrigin({f"{number}.md": Unavailable("500") for number in range(50)})
    desk.origin = origin
    with pytest.raises(Unavailable, match="500"):
        await desk.poll()()
    assert len(origin.fetched) < FAILURES_IN_A_ROW + 4


async def test_a_log_that_is_away_ends_the_poll_and_the_next_one_goes_on(desk: Desk) -> None:
    poll = desk.poll()
    desk.platform.away = True
    with pytest.raises(Unavailable, match="away"):
        await poll()
    assert desk.platform.confirmations == []
    desk.platform.away = False
    assert counts(await poll()) == {"new": 2}


@pytest.mark.parametrize("cheap", [True, False])
async def test_what_is_on_its_way_into_the_index_is_not_submitted_again(desk: Desk, cheap: bool) -> None:
    desk.origin = MemoryOrigin({"a.md": "Alpha"}, cheap=cheap)
    poll = desk.poll()
    desk.platform.lags = True
    await poll()
    assert counts(await poll()) == {"unchanged": 1}
    await desk.platform.catch_up()
    assert counts(await poll()) == {"unchanged": 1}
    assert desk.submitted() == ["wiki/a.md"]


async def test_a_page_without_a_cheap_fingerprint_is_asked_for_and_not_read_again(desk: Desk) -> None:
    desk.origin = MemoryOrigin({"a.md": "Alpha"}, cheap=False)
    for _ in range(3):
        await desk.poll()()
    assert desk.origin.fetched == ["a.md"] * 3
    assert desk.reader.reads == ["a.md"]


async def test_a_page_that_was_found_unchanged_under_a_new_fingerprint_is_not_asked_for_again(desk: Desk) -> None:
    class Renaming(MemoryOrigin):
        def _item(self, name: str) -> Item:
            return Item(f"wiki/{name}", name, f"changed: {len(self.texts[name])}")

    await desk.poll()()
    desk.origin = Renaming({"a.md": "Alpha", "b.md": "Beta"})
    poll = desk.poll()
    for _ in range(2):
        assert counts(await poll()) == {"unchanged": 2}
    assert desk.origin.fetched == ["a.md", "b.md"]


async def test_a_document_that_somebody_deleted_comes_back(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    await poll.delete(Identity("acme", "anna"), "wiki/a.md")
    assert counts(await poll()) == {"new": 1, "unchanged": 1}


async def test_a_document_that_somebody_overwrote_becomes_again_what_its_source_says(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    await desk.platform.append(DocumentKey("acme", "wiki/a.md"), Document("wiki/a.md", "", "other", source_id="wiki"))
    assert counts(await poll()) == {"changed": 1, "unchanged": 1}


async def test_documents_of_the_source_that_were_not_polled_stay(desk: Desk) -> None:
    await desk.platform.append(DocumentKey("acme", "by-hand"), Document("by-hand", "", "by hand", source_id="wiki"))
    desk.submitted()
    assert counts(await desk.poll()()) == {"new": 2}
    assert sorted(desk.submitted()) == ["wiki/a.md", "wiki/b.md"]


async def test_another_audience_in_the_plan_is_one_for_every_document(desk: Desk) -> None:
    await desk.poll()()
    desk.submitted()
    assert counts(await desk.poll(groups=("sales",))()) == {"changed": 2}
    assert counts(await desk.poll(groups=("sales",))()) == {"unchanged": 2}


async def test_what_a_feed_no_longer_mentions_stays_and_leaves_the_source_unconfirmed(desk: Desk) -> None:
    origin = desk.origin = MemoryOrigin({"a.md": "Alpha", "b.md": "Beta"}, complete=False)
    poll = desk.poll()
    assert (await poll()).confirmed
    del origin.texts["a.md"]
    polled = await poll()
    assert (counts(polled), polled.confirmed) == ({"unchanged": 1}, False)


async def test_the_source_is_registered_once_and_only_if_it_differs(desk: Desk) -> None:
    registered: list[Source] = []
    append = desk.platform.append_source

    async def noted(tenant: str, source: Source) -> None:
        registered.append(source)
        await append(tenant, source)

    desk.platform.append_source = noted
    for trust in (Trust.LOW, Trust.LOW, Trust.HIGH):
        poll = desk.poll(trust=trust)
        await poll()
        await poll()
    assert [source.trust for source in registered] == [Trust.LOW, Trust.HIGH]


async def test_who_changes_a_source_later_is_not_overruled_before_the_next_start(desk: Desk) -> None:
    poll = desk.poll()
    await poll()
    await desk.platform.append_source("acme", Source("wiki", retention=timedelta(days=7)))
    await poll()
    assert (await desk.platform.registry.read("acme"))["wiki"].retention == timedelta(days=7)
    await desk.poll()()
    assert (await desk.platform.registry.read("acme"))["wiki"].retention is None


class ScriptedClock(FakeClock):
    """Lets so many naps pass; whoever naps then never wakes."""

    def __init__(self, naps: int) -> None:
        super().__init__(START)
        self.left = naps
        self.naps: list[float] = []
        self.tired = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.left -= 1
        if self.left < 0:
            self.tired.set()
            await asyncio.Event().wait()
        await super().sleep(seconds)


async def run(poll: PollSource, *, naps: int) -> tuple[list[float], list[Any]]:
    """How long a poller slept between its polls, and what it logged."""
    clock = ScriptedClock(naps)
    poller = Poller([poll], clock, Random(7))
    with capture_logs() as logged:
        running = asyncio.create_task(poller.run())
        await clock.tired.wait()
        await poller.stop()
        await running
    return clock.naps, logged


async def test_each_source_is_polled_at_its_interval_give_or_take_a_tenth(desk: Desk) -> None:
    naps, logged = await run(desk.poll(), naps=20)
    assert [each["event"] for each in logged].count("source_polled") == 21
    assert all(270 <= nap <= 330 for nap in naps)
    assert len(set(naps)) > 15


async def test_a_poll_is_logged_with_its_counts(desk: Desk) -> None:
    _, logged = await run(desk.poll(), naps=0)
    told = {"new": 2, "changed": 0, "unchanged": 0, "gone": 0, "refused": 0, "confirmed": True}
    assert told.items() <= logged[-1].items()
    assert (logged[-1]["tenant_id"], logged[-1]["source_id"], logged[-1]["seconds"]) == ("acme", "wiki", 0)


@pytest.mark.parametrize("error", [Unavailable("the wiki is away"), Invalid("no feed"), ZeroDivisionError("a mistake")])
async def test_no_error_ends_the_polls(desk: Desk, error: Exception) -> None:
    class Recovering(MemoryOrigin):
        async def items(self) -> Listing:
            listed, self.error = self.error, None
            if listed is not None:
                raise listed
            return await super().items()

    poll = desk.poll()
    poll.origin = Recovering({"a.md": "Alpha"}, error=error)
    _, logged = await run(poll, naps=1)
    assert [each["event"] for each in logged] == ["source_poll_failed", "source_polled"]


async def test_a_poller_without_sources_stops_when_it_is_told() -> None:
    poller = Poller([], FakeClock(), Random(7))
    running = asyncio.create_task(poller.run())
    await poller.stop()
    await running


async def test_stopping_breaks_off_a_poll_that_hangs(desk: Desk) -> None:
    began = asyncio.Event()

    class Hanging(MemoryOrigin):
        async def items(self) -> Listing:
            began.set()
            await asyncio.Event().wait()
            raise AssertionError

    poll = desk.poll()
    poll.origin = Hanging({})
    poller = Poller([poll], FakeClock(), Random(7))
    running = asyncio.create_task(poller.run())
    await began.wait()
    await poller.stop()
    await running
