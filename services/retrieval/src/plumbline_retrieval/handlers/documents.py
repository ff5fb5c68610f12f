"""Documents in: accept, delete, ask about, wait for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from plumbline_kit.errors import NotFound
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.document import Document, DocumentKey, Head, State
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.ports import Corpus, Heads


@dataclass(frozen=True)
class Acceptance:
    """Puts documents into the corpus and remembers which the index has not seen yet."""

    corpus: Corpus
    heads: Heads
    progress: Progress

    async def accept(self, key: DocumentKey, document: Document | None) -> int:
        """The new version, durable. Raises `Unavailable`, and then nothing was accepted."""
        version = await self.corpus.append(key, document)
        self.progress.accepted(key, version)
        head = await _head(self.heads, key)
        if head is not None and head.version >= version:  # the indexer was faster than the acknowledgement
            self.progress.reached(key, head.version)
        return version


@dataclass(frozen=True)
class SubmitDocument:
    """Accepts a document."""

    acceptance: Acceptance

    async def __call__(self, identity: Identity, document: Document) -> int:
        """Its version, durable. Raises `Unavailable`."""
        return await self.acceptance.accept(DocumentKey(identity.tenant, document.document_id), document)


@dataclass(frozen=True)
class DeleteDocument:
    """Removes a document, whoever may read it: that is what the scope to write stands for."""

    acceptance: Acceptance
    heads: Heads
    progress: Progress
    readiness: Readiness

    async def __call__(self, identity: Identity, document_id: str) -> int:
        """The version that means "deleted", durable. Raises `NotFound`, `Unavailable`."""
        key = DocumentKey(identity.tenant, document_id)
        head = await _head(self.heads, key)
        gone = head is None or head.state is State.DELETED
        if gone and not self.progress.is_on_its_way(key):
            self.readiness.require()
            raise NotFound(f"there is no document {document_id}")
        return await self.acceptance.accept(key, None)


@dataclass(frozen=True)
class GetDocument:
    """Says what is known of a document."""

    heads: Heads
    readiness: Readiness

    async def __call__(self, identity: Identity, document_id: str) -> Head:
        """Raises `NotFound`, also for a document of groups that are not the caller's."""
        head = await _head(self.heads, DocumentKey(identity.tenant, document_id))
        if head is None or not head.admits(identity.groups):
            self.readiness.require()
            raise NotFound(f"there is no document {document_id}")
        return head


@dataclass(frozen=True)
class WaitForDocument:
    """Read your own writes."""

    heads: Heads
    progress: Progress

    async def __call__(self, identity: Identity, document_id: str, version: int) -> Head:
        """The head once it has reached *version*: from then on no search sees an older one. Waits without end.

        Who submits a document may not be of its groups, so anybody may wait, but learns the title only if he is.
        """
        key = DocumentKey(identity.tenant, document_id)
        while True:
            with self.progress.watching(key) as next_step:
                head = await _head(self.heads, key)
                if head is not None and head.version >= version:
                    return _as_seen_by(identity.groups, head)
                await next_step.wait()


async def _head(heads: Heads, key: DocumentKey) -> Head | None:
    return (await heads.heads([key])).get(key)


def _as_seen_by(groups: Sequence[str], head: Head) -> Head:
    return head if head.admits(groups) else replace(head, title="")
