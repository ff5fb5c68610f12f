"""Documents in: accept, delete, ask about, wait for."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.content import Content, File
from plumbline_retrieval.domain.document import FACTS, Document, DocumentKey
from plumbline_retrieval.domain.fact import Fact
from plumbline_retrieval.domain.head import Head, State
from plumbline_retrieval.domain.likeness import Near, nearest
from plumbline_retrieval.domain.source import Freshness
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import DEFAULT, Registries, Registry
from plumbline_retrieval.ports import SAME, Corpus, Heads, Reader

MAX_PAGE: Final = 1_000
MAX_FACTS: Final = 100
AHEAD: Final = timedelta(minutes=5)
"""What clocks may differ."""
ASK_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.2
"""How often a waiter looks for what an indexer in another process has done."""


@dataclass(frozen=True)
class View:
    """What a generation of the index knows, and what is on its way into it."""

    heads: Heads
    progress: Progress


@dataclass(frozen=True)
class Acceptance:
    """Puts documents into the corpus and remembers which an index has not seen yet."""

    corpus: Corpus
    views: Sequence[View]

    async def accept(self, key: DocumentKey, document: Document | None) -> int:
        """The new version, durable. Raises `Unavailable`, and then nothing was accepted."""
        return await self._noted(key, await self.corpus.append(key, document))

    async def accept_fact(self, tenant: str, fact: Fact) -> int:
        """The same for the document that the fact becomes."""
        version = await self.corpus.append_fact(tenant, fact)
        return await self._noted(DocumentKey(tenant, fact.document_id), version)

    async def _noted(self, key: DocumentKey, version: int) -> int:
        for view in self.views:
            view.progress.accepted(key, version)
        await asyncio.gather(*(self._look(view, key, version) for view in self.views))
        return version

    async def _look(self, view: View, key: DocumentKey, version: int) -> None:
        """Whether the indexer was faster than the acknowledgement."""
        with suppress(Unavailable, TimeoutError):  # it is accepted, whatever an index says
            head = await asyncio.wait_for(_head(view.heads, key), ASK_SECONDS)
            if head is not None and head.version >= version:
                view.progress.reached(key, head.version)


@dataclass(frozen=True)
class SubmitDocument:
    """Accepts a document."""

    acceptance: Acceptance
    registry: Registries

    async def __call__(self, identity: Identity, document: Document) -> int:
        """Its version, durable. Raises `Invalid` for an unregistered source, `Unavailable`."""
        if document.document_id.startswith(FACTS):
            raise Invalid.field("document.document_id", f"must not begin with {FACTS}: such ids are those of facts")
        await self.registry.require(identity.tenant, document.source_id)
        return await self.acceptance.accept(DocumentKey(identity.tenant, document.document_id), document)


@dataclass(frozen=True)
class FileDocument:
    """What a sender says of a file beside the file."""

    document: Document
    """With a text that stands for the file's; an empty title means that the file says it."""
    file: File


@dataclass(frozen=True)
class SubmitFile:
    """Reads a file and accepts the document that it holds."""

    reader: Reader
    submit: SubmitDocument

    async def __call__(self, identity: Identity, sent: FileDocument) -> tuple[int, Content]:
        """Its version, durable, and what was read. Raises `Invalid`, `Unavailable`."""
        await self.submit.registry.require(identity.tenant, sent.document.source_id)
        content = await self.reader.read(sent.file)
        document = replace(
            sent.document, title=sent.document.title or content.title, text=content.text, layout=content.layout
        )
        return await self.submit(identity, document), content


@dataclass(frozen=True)
class RecordFacts:
    """Accepts facts that change often."""

    acceptance: Acceptance
    registry: Registries

    async def __call__(self, identity: Identity, facts: Sequence[Fact]) -> list[tuple[str, int]]:
        """The document that each became, and its version. Raises `Invalid`, `Unavailable`; some may be recorded."""
        if not 1 <= len(facts) <= MAX_FACTS:
            raise Invalid.field("facts", f"must have 1 to {MAX_FACTS} entries, has {len(facts)}")
        latest = self.registry.clock.now() + AHEAD
        for fact in facts:
            if fact.since > latest:  # it would take the place of what holds now
                raise Invalid.field("valid_from_time", "lies in the future: record the fact when it holds")
        for source_id in {fact.source_id for fact in facts}:
            await self.registry.require(identity.tenant, source_id)
        versions = await asyncio.gather(*(self.acceptance.accept_fact(identity.tenant, fact) for fact in facts))
        return [(fact.document_id, version) for fact, version in zip(facts, versions, strict=True)]


@dataclass(frozen=True)
class DeleteDocument:
    """Removes a document, whoever may read it: that is what the scope to write stands for."""

    acceptance: Acceptance
    heads: Heads
    progress: Progress
    readiness: Readiness

    async def __call__(self, identity: Identity, document_id: str) -> int:
        """The version that means "deleted", durable. Raises `Invalid` for a fact, `NotFound`, `Unavailable`."""
        if document_id.startswith(FACTS):
            raise Invalid.field("document_id", "is a fact's: record the fact as retracted")  # another log numbers it
        key = DocumentKey(identity.tenant, document_id)
        head = await _head(self.heads, key)
        gone = head is None or head.state is State.DELETED
        if gone and not self.progress.is_on_its_way(key, beyond=head.version if head else -1):
            self.readiness.require()
            raise NotFound(f"there is no document {document_id}")
        return await self.acceptance.accept(key, None)


@dataclass(frozen=True)
class Status:
    """What is known of a document, and how current it is."""

    head: Head
    as_of: datetime
    freshness: Freshness
    duplicate_ids: tuple[str, ...] = ()
    near: tuple[Near, ...] = ()
    """Documents of nearly the same text, most similar first."""


@dataclass(frozen=True)
class Statuses:
    """Heads as their readers see them."""

    heads: Heads
    progress: Progress
    registry: Registry

    async def of(self, head: Head) -> Status:
        """Without duplicates."""
        sources = await self.registry.of(head.key.tenant)
        self.progress.reached(head.key, head.version)  # another process may have indexed it
        superseded = head.is_superseded or self.progress.is_on_its_way(head.key, beyond=head.version)
        submitted_at = head.live.submitted_at
        source = sources.get(head.source_id, DEFAULT)
        freshness = source.freshness(submitted_at, self.registry.clock.now(), superseded=superseded)
        return Status(head, source.confirmed(submitted_at), freshness)

    async def with_duplicates(self, head: Head, groups: Sequence[str]) -> Status:
        """With the documents that *groups* may see whose text is the same, or nearly."""
        status = await self.of(head)
        if not head.live.text_hash:
            return status
        same = await self.heads.same_text(head.key.tenant, groups, head.live.text_hash)
        others = [each for each in same if each != head.key.document_id]
        return replace(status, duplicate_ids=tuple(others[: SAME - 1]), near=await self._near(head, groups))

    async def _near(self, head: Head, groups: Sequence[str]) -> tuple[Near, ...]:
        others = await self.heads.near_text(head.key.tenant, groups, head.live)
        others.pop(head.key.document_id, None)  # it may have changed since *head* was read
        return tuple(nearest(head.live.sketch, others)[: SAME - 1])


@dataclass(frozen=True)
class GetDocument:
    """Says what is known of a document."""

    heads: Heads
    statuses: Statuses
    readiness: Readiness

    async def __call__(self, identity: Identity, document_id: str) -> Status:
        """Raises `NotFound`, also for a document of groups that are not the caller's."""
        head = await _head(self.heads, DocumentKey(identity.tenant, document_id))
        if head is None or not head.admits(identity.groups):
            self.readiness.require()
            raise NotFound(f"there is no document {document_id}")
        return await self.statuses.with_duplicates(head, identity.groups)


@dataclass(frozen=True)
class ListDocuments:
    """Shows the documents, a page at a time."""

    heads: Heads
    statuses: Statuses
    readiness: Readiness

    async def __call__(self, identity: Identity, source_id: str, limit: int, token: str) -> tuple[list[Status], str]:
        """Those that the caller may see, and the token of the next page. Raises `Invalid`."""
        if not 1 <= limit <= MAX_PAGE:
            raise Invalid.field("page_size", f"must be 1 to {MAX_PAGE}, is {limit}")
        self.readiness.require()
        heads, following = await self.heads.list_heads(identity.tenant, identity.groups, source_id, limit, token)
        return [await self.statuses.of(head) for head in heads], following


@dataclass(frozen=True)
class WaitForDocument:
    """Read your own writes."""

    heads: Heads
    statuses: Statuses
    progress: Progress

    async def __call__(self, identity: Identity, document_id: str, version: int) -> Status:
        """The head once it has reached *version*: from then on no search sees an older one. Waits without end.

        Who submits a document may not be of its groups, so anybody may wait, but only they learn more than its state.
        """
        key = DocumentKey(identity.tenant, document_id)
        while True:
            with self.progress.watching(key) as next_step:
                head = await _head(self.heads, key)
                if head is not None and head.version >= version:
                    return await self.statuses.of(_as_seen_by(identity.groups, head))
                with suppress(TimeoutError):
                    await asyncio.wait_for(next_step.wait(), LOOK_SECONDS)


async def _head(heads: Heads, key: DocumentKey) -> Head | None:
    return (await heads.heads([key])).get(key)


def _as_seen_by(groups: Sequence[str], head: Head) -> Head:
    return head if head.admits(groups) else Head(head.key, head.version, head.state, head.time)
