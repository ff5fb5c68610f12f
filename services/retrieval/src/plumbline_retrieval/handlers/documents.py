"""Documents in: accept, delete, ask about, wait for."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from plumbline_kit.errors import NotFound
from plumbline_retrieval.domain.document import Document, DocumentKey, Head, State
from plumbline_retrieval.ports import Corpus, Heads


@dataclass
class Progress:
    """How far the indexer is with each document that somebody cares about."""

    _accepted: dict[DocumentKey, int] = field(default_factory=dict)
    _waiting: defaultdict[DocumentKey, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))

    def accepted(self, key: DocumentKey, version: int) -> None:
        """*version* was accepted and is not indexed yet."""
        self._accepted[key] = max(version, self._accepted.get(key, version))

    def is_on_its_way(self, key: DocumentKey) -> bool:
        """Whether an accepted version is not indexed yet."""
        return key in self._accepted

    def reached(self, key: DocumentKey, version: int) -> None:
        """The index knows *version*."""
        if self._accepted.get(key, version) <= version:
            self._accepted.pop(key, None)
        for event in self._waiting.pop(key, ()):
            event.set()

    @contextmanager
    def watching(self, key: DocumentKey) -> Iterator[asyncio.Event]:
        """An event that the document's next step sets."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]


@dataclass(frozen=True)
class SubmitDocument:
    """Accepts a document."""

    corpus: Corpus
    progress: Progress

    async def __call__(self, tenant: str, document: Document) -> int:
        """Its version, durable. Raises `Unavailable`."""
        key = DocumentKey(tenant, document.document_id)
        version = await self.corpus.append(key, document)
        self.progress.accepted(key, version)
        return version


@dataclass(frozen=True)
class DeleteDocument:
    """Removes a document."""

    corpus: Corpus
    heads: Heads
    progress: Progress

    async def __call__(self, key: DocumentKey) -> int:
        """The version that means "deleted", durable. Raises `NotFound`, `Unavailable`."""
        head = (await self.heads.heads([key])).get(key)
        gone = head is None or head.state is State.DELETED
        if gone and not self.progress.is_on_its_way(key):
            raise NotFound(f"there is no document {key.document_id}")
        version = await self.corpus.append(key, None)
        self.progress.accepted(key, version)
        return version


@dataclass(frozen=True)
class GetDocument:
    """Says what is known of a document."""

    heads: Heads

    async def __call__(self, key: DocumentKey) -> Head:
        """Raises `NotFound`."""
        head = (await self.heads.heads([key])).get(key)
        if head is None:
            raise NotFound(f"there is no document {key.document_id}")
        return head


@dataclass(frozen=True)
class WaitForDocument:
    """Read your own writes."""

    heads: Heads
    progress: Progress

    async def __call__(self, key: DocumentKey, version: int) -> Head:
        """The head once it has reached *version*: from then on no search sees an older one. Waits without end."""
        while True:
            with self.progress.watching(key) as next_step:
                head = (await self.heads.heads([key])).get(key)
                if head is not None and head.version >= version:
                    return head
                await next_step.wait()
