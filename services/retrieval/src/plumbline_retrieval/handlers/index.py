"""One record of the corpus into the index, safe to stop anywhere and to repeat."""

from dataclasses import dataclass, field

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.chunking import Offsets, cut
from plumbline_retrieval.domain.document import (
    Document,
    DocumentKey,
    Head,
    Passage,
    State,
    deleted,
    next_head,
    published,
    rejected,
)
from plumbline_retrieval.handlers.documents import Progress
from plumbline_retrieval.ports import Announcer, Heads, PassageEncoder, Passages

log = structlog.get_logger()


@dataclass(frozen=True)
class IndexDocument:
    """Makes a version live, or says why not.

    New passages are kept beside the old ones, unseen; writing the head makes them live in one operation; then the
    old ones go, and the change is told. The head holds the change, so a repetition after a crash tells the same
    one, although the old passages are gone by then.
    """

    heads: Heads
    passages: Passages
    encoder: PassageEncoder
    offsets: Offsets
    announcer: Announcer
    clock: Clock
    progress: Progress = field(default_factory=Progress)

    async def __call__(self, key: DocumentKey, version: int, document: Document | Invalid | None, origin: str) -> None:
        """*document* is None for a deletion, `Invalid` where the record holds no acceptable one.

        Raises `Unavailable`; the record then has to come again.
        """
        before = (await self.heads.heads([key])).get(key)
        if before is not None and before.version > version:
            self.progress.reached(key, before.version)
            return
        if before is not None and before.version == version:
            head = before
        else:
            head = await self._make_live(next_head(before, key, version, self.clock.now()), document)
        self.progress.reached(key, version)
        await self._finish(head, origin)

    async def _make_live(self, head: Head, document: Document | Invalid | None) -> Head:
        if document is None:
            head = deleted(head)
        elif isinstance(document, Invalid):
            head = rejected(head, str(document))
        elif passages := cut(document.text, self.offsets):
            vectors = await self.encoder.encode([_embedded(document, passage) for passage in passages])
            await self.passages.stage(head.key, head.version, document, passages, vectors)
            head = published(head, document, passages)
        else:
            head = rejected(head, "the document holds no text")
        await self.heads.put_head(head)
        return head

    async def _finish(self, head: Head, origin: str) -> None:
        if head.state is State.REJECTED:
            await self.announcer.document_rejected(head, origin)
            return
        if head.change is not None and head.change.old_version >= 0:
            await self.passages.remove_others(head.key, head.live_version)
        await self.announcer.document_changed(head)
        log.debug("document_indexed", document_id=head.key.document_id, document_version=head.version)


def _embedded(document: Document, passage: Passage) -> str:
    """What the encoder sees of a passage: a passage alone often does not say what it is about."""
    return f"{document.title}\n{passage.text}" if document.title else passage.text
