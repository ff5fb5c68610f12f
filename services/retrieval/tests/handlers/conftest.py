"""An indexer that can be stopped dead at any of its steps."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_kit.identity import Identity
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.memory import WordEncoder, word_offsets
from plumbline_retrieval.domain.chunking import Cutting
from plumbline_retrieval.domain.document import Document, DocumentKey, Found
from plumbline_retrieval.domain.head import Head
from plumbline_retrieval.domain.query import Query
from plumbline_retrieval.handlers.index import IndexDocument, Submission
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import Registry
from plumbline_retrieval.handlers.search import SearchPassages
from plumbline_retrieval.ports import Index, Vector


class Crash(Exception):
    """The process died here."""


@dataclass
class Fuse:
    """Lets so many steps pass; the next one crashes, before or after it took effect."""

    left: int | None = None
    after: bool = False
    taken: list[str] = field(default_factory=list)

    async def around(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        await asyncio.sleep(0)  # readers get a look between any two steps
        self.taken.append(name)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                if self.after:
                    await step()
                raise Crash(name)
        return await step()


class Fragile:
    """*inner* with every call going through the fuse."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            return await self._fuse.around(name, lambda: getattr(self._inner, name)(*arguments))

        return call


class MemoryAnnouncer:
    """`Announcer` that keeps what it was told, a fact once for each time."""

    def __init__(self) -> None:
        self.changed: list[Head] = []
        self.vectors: list[Mapping[str, Vector]] = []
        self.rejected: list[tuple[Head, str]] = []

    async def document_changed(self, head: Head, vectors: Mapping[str, Vector]) -> None:
        self.changed.append(head)
        self.vectors.append(vectors)

    async def document_rejected(self, head: Head, log_part: str) -> None:
        self.rejected.append((head, log_part))


@dataclass
class Bench:
    """One document's life in an index."""

    index: Index
    encoder: WordEncoder = field(default_factory=WordEncoder)
    announcer: MemoryAnnouncer = field(default_factory=MemoryAnnouncer)
    clock: FakeClock = field(default_factory=FakeClock)
    key: DocumentKey = field(default_factory=lambda: DocumentKey("acme", "lamp"))

    def __post_init__(self) -> None:
        self.registry = Registry(self.index, self.clock, complete=True)

    async def hear(
        self,
        version: int,
        document: Document | Invalid | None,
        fuse: Fuse | None = None,
        progress: Progress | None = None,
        groups: tuple[str, ...] = (),
    ) -> None:
        """Give the record to an indexer of a new process."""
        self.clock.advance(1)
        fuse = fuse or Fuse()
        index, announcer = Fragile(self.index, fuse), Fragile(self.announcer, fuse)
        handle = IndexDocument(
            index,
            index,
            Fragile(self.encoder, fuse),
            Cutting(word_offsets),
            announcer,
            self.registry,
            self.clock,
            progress or Progress(),
        )
        await handle(Submission(self.key, version, document, self.clock.now(), "corpus[0]", groups))

    async def head(self) -> Head | None:
        return (await self.index.heads([self.key])).get(self.key)

    def search(self, *, complete: bool = True, **parts: Any) -> SearchPassages:
        return SearchPassages(self.index, WordEncoder(), self.registry, Readiness(complete), Progress(), **parts)

    async def find(self, text: str = "lamp costs", groups: Sequence[str] = ()) -> Sequence[Found]:
        anna = Identity(self.key.tenant, "anna", tuple(groups))
        return (await self.search()(anna, Query(text, 100), None, "")).found

    async def first_words(self) -> list[str]:
        """The first two words of each passage that a search finds."""
        return sorted(" ".join(found.passage.text.split()[:2]) for found in await self.find())

    def facts(self) -> dict[int, set[object]]:
        """What was told about each version. More than one entry means that two tellings differ."""
        facts: dict[int, set[object]] = defaultdict(set)
        for head in self.announcer.changed:
            facts[head.version].add(head.change)
        for head, log_part in self.announcer.rejected:
            facts[head.version].add((head.reason, head.time, log_part))
        return facts


@pytest.fixture
def benches(index: Index) -> Iterator[Bench]:
    """As many lives as wanted, each of another tenant in the same index."""

    def make() -> Iterator[Bench]:
        number = 0
        while True:
            yield Bench(index, key=DocumentKey(f"tenant-{number}", "lamp"))
            number += 1

    return make()


@pytest.fixture
def bench(index: Index) -> Bench:
    """One life, of the tenant acme."""
    return Bench(index)


@pytest.fixture
def fuse() -> type[Fuse]:
    """What stops an indexer: `fuse(3, after=True)`."""
    return Fuse


@pytest.fixture
def crash() -> type[Crash]:
    """What a stopped indexer raises."""
    return Crash
