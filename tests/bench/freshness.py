"""Replay twelve weeks of news pages into the index while it is read and its process is killed.

Each week's pages take the places of those of the week before, 20 changes a second; a page that has no successor is
deleted. Readers ask for pages all the while and compare what they get with what was promised before they asked.
"""

import ast
import asyncio
import gzip
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
from rich.console import Console
from rich.progress import Progress

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.platform import Bench, running
from tests.bench.settings import BenchSettings

T = TypeVar("T")

ROUNDS = 2
CHANGES_A_SECOND = 20.0
KILL_SECONDS = 15.0
READERS = 4
PARTS = 3
PART_CHARACTERS = 300
P95_GOAL_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Change:
    """A page that takes its place, or, without a text, leaves it."""

    place: str
    title: str = ""
    text: str = ""


@dataclass
class Place:
    """What was promised of one place in the corpus."""

    version: int = -1
    """The newest that was said to be searchable, or deleted."""
    is_there: bool = False
    begun: int = 0
    """Changes that were begun; one that is under way may or may not be seen."""
    ended: int = 0
    title: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_settled(self) -> bool:
        return self.begun == self.ended


@dataclass
class Observed:
    """What readers saw."""

    reads: int = 0
    refused: int = 0
    empty: int = 0
    mixed: int = 0
    old: int = 0
    deleted: int = 0


@dataclass
class Replay:
    """One run."""

    bench: Bench
    places: dict[str, Place] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    observed: Observed = field(default_factory=Observed)
    kills: int = 0

    @property
    def stub(self) -> RetrievalServiceStub:
        return self.bench.driver.retrieval

    async def change(self, change: Change) -> None:
        """Make it, and return once it is searchable."""
        place = self.places.setdefault(change.place, Place())
        async with place.turn:
            place.begun += 1
            started = time.monotonic()
            version = await _patiently(lambda: self._submit(change))
            wait = pb.WaitForDocumentRequest(document_id=change.place, version=version)
            await _patiently(lambda: self.stub.WaitForDocument(wait, timeout=5))
            self.seconds.append(time.monotonic() - started)
            place.version, place.is_there, place.title = version, bool(change.text), change.title
            place.ended += 1

    async def _submit(self, change: Change) -> int:
        if not change.text:
            return await self._delete(change.place)
        document = pb.Document(
            document_id=change.place,
            title=change.title,
            text=change.text,
            layout=pb.DOCUMENT_LAYOUT_RECORDS,
            metadata={"place": change.place},
        )
        return (await self.stub.SubmitDocument(pb.SubmitDocumentRequest(document=document), timeout=5)).version

    async def _delete(self, place: str) -> int:
        try:
            reply = await self.stub.DeleteDocument(pb.DeleteDocumentRequest(document_id=place), timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            # A try before this one was taken, and the process died before it could say so.
            status = await self.stub.GetDocument(pb.GetDocumentRequest(document_id=place), timeout=5)
            return status.status.version
        return reply.version

    async def read(self, pick: random.Random) -> None:
        """Ask for one place and compare."""
        name = pick.choice(list(self.places))
        place = self.places[name]
        before, settled = Place(place.version, place.is_there), place.is_settled
        begun = place.begun
        wanted = pb.SearchFilter(metadata={"place": name})
        request = pb.SearchPassagesRequest(query=place.title or "news", page_size=100, filter=wanted)
        try:
            reply = await self.stub.SearchPassages(request, timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() not in PASSING:
                raise
            self.observed.refused += 1
            return
        versions = {passage.ref.version for passage in reply.passages}
        self._compare(before, versions, len(reply.passages), certain=settled and place.begun == begun)

    def _compare(self, before: Place, versions: set[int], passages: int, *, certain: bool) -> None:
        """*certain*: no change was under way at any moment of the read."""
        observed = self.observed
        observed.reads += 1
        observed.mixed += len(versions) > 1 or passages not in (0, PARTS)
        observed.old += bool(versions) and min(versions) < before.version
        if certain:
            observed.empty += before.is_there and not versions
            observed.deleted += not before.is_there and bool(versions)

    async def read_on(self, seed: int) -> None:
        """Read until cancelled."""
        pick = random.Random(seed)
        while True:
            if self.places:
                await self.read(pick)
            await asyncio.sleep(0.005)

    async def kill_on(self) -> None:
        """Kill the process of index and api, again and again."""
        while True:
            await asyncio.sleep(KILL_SECONDS)
            self.bench.supervisor.kill("retrieval")
            self.kills += 1
            await self.bench.supervisor.wait_healthy("retrieval")


async def main() -> None:
    """Run the benchmark on its own platform in a temporary folder."""
    weeks = list(_weeks(BenchSettings.from_env().data / "realtimeqa"))
    changes = [change for _ in range(ROUNDS) for change in _changes(weeks)]
    async with running(["kafka", "retrieval"]) as bench:
        replay = Replay(bench)
        await _patiently(lambda: replay._submit(Change("first", "First", "A first page.")))
        beside = [asyncio.create_task(replay.read_on(seed)) for seed in range(READERS)]
        beside.append(asyncio.create_task(replay.kill_on()))
        await _replay(replay, changes)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        figures.report("bench-freshness", _figures(replay))


async def _replay(replay: Replay, changes: list[Change]) -> None:
    """Begin each change at its time, whether or not those before have ended."""
    started = time.monotonic()
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("changes", total=len(changes))
        async with asyncio.TaskGroup() as group:
            for number, change in enumerate(changes):
                await asyncio.sleep(max(0.0, started + number / CHANGES_A_SECOND - time.monotonic()))
                group.create_task(replay.change(change)).add_done_callback(lambda _: progress.advance(task))


def _figures(replay: Replay) -> list[Figure]:
    observed, results = replay.observed, []
    for percent in (50, 95, 99):
        value = sorted(replay.seconds)[min(len(replay.seconds) - 1, len(replay.seconds) * percent // 100)]
        goal, met = (f"< {P95_GOAL_SECONDS:g}", value < P95_GOAL_SECONDS) if percent == 95 else (None, None)
        results.append(Figure(f"submit_to_searchable_p{percent}_s", value, goal=goal, met=met))
    results += [Figure("changes", len(replay.seconds)), Figure("kills", replay.kills)]
    results += [Figure("reads", observed.reads), Figure("reads_refused_while_down", observed.refused)]
    for name in ("empty", "mixed", "old", "deleted"):
        count = getattr(observed, name)
        results.append(Figure(f"{name}_reads", count, goal="= 0", met=count == 0))
    return results


def _weeks(folder: Path) -> Iterator[dict[str, Change]]:
    """The pages of each week, by place: the question's number and the page's rank."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        pages: dict[str, Change] = {}
        for question, line in enumerate(gzip.decompress(path.read_bytes()).split(b"\n")[:-1]):
            for rank, page in enumerate(_pages(json.loads(line)["search_result"])):
                text = _text(path.name[:8], page)
                if text:
                    pages[f"{question}/{rank}"] = Change(f"{question}/{rank}", page["title"][:200], text)
        yield pages


def _pages(content: object) -> list[dict[str, str]]:
    """Lists came as they are or as Python wrote them."""
    return list(ast.literal_eval(content) if isinstance(content, str) else content)  # type: ignore[call-overload]  # one of both


def _text(week: str, page: dict[str, str]) -> str:
    """Three records, so that a reader can see whether all of one version is there."""
    words = " ".join((page.get("text") or "").split())
    parts = [words[number * PART_CHARACTERS : (number + 1) * PART_CHARACTERS] for number in range(PARTS)]
    if len(parts[-1]) < PART_CHARACTERS // 2:
        return ""
    return "\n\n".join(f"Week {week}, part {number}: {part}" for number, part in enumerate(parts))


def _changes(weeks: list[dict[str, Change]]) -> Iterator[Change]:
    there: set[str] = set()
    for pages in weeks:
        yield from pages.values()
        yield from (Change(place) for place in sorted(there - pages.keys()))
        there = set(pages)
    yield from (Change(place) for place in sorted(there))


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Make *call* until it is taken: a process that was killed comes back."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in PASSING or time.monotonic() > ends:
                raise
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
