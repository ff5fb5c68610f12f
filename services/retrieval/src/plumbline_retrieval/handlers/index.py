"""One record of the corpus into the index, safe to stop anywhere and to repeat."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.chunking import Cutting, cut
from plumbline_retrieval.domain.document import EVERYBODY, NOBODY, Document, DocumentKey, Passage
from plumbline_retrieval.domain.head import NO_VERSION, Head, State, deleted, next_head, published, rejected
from plumbline_retrieval.domain.likeness import sketch
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.registry import Registries
from plumbline_retrieval.ports import Announcer, Heads, PassageEncoder, Passages, Vector

log = structlog.get_logger()

MAX_PASSAGES = 20_000
"""A change names the passages that went and came, and must fit in a record."""


@dataclass(frozen=True)
class Submission:
    """One record of the corpus."""

    key: DocumentKey
    version: int
    document: Document | Invalid | None
    """None for a deletion, `Invalid` where the record holds no acceptable one."""
    submitted_at: datetime
    log_part: str
    """The part of the log where the document's versions lie."""
    groups: tuple[str, ...] = ()
    """For whom it was meant, also where the document is no acceptable one."""


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
    cutting: Cutting
    announcer: Announcer
    registry: Registries
    clock: Clock
    progress: Progress = field(default_factory=Progress)

    async def __call__(self, record: Submission) -> None:
        """Raises `Unavailable`; the record then has to come again."""
        before = (await self.heads.heads([record.key])).get(record.key)
        vectors: dict[str, Vector] = {}
        if before is None or before.version < record.version:
            head = await self._advance(before, record, vectors)
        else:
            head = before
        self.progress.reached(record.key, head.version)
        if head.version == record.version:
            await self._finish(head, record.log_part, vectors)

    async def _advance(self, before: Head | None, record: Submission, vectors: dict[str, Vector]) -> Head:
        if before is not None:
            # Its own record may never come again: the log forgets a version once there is a newer one.
            await self._finish(before, record.log_part, {})
        head = await self._made_of(next_head(before, record.key, record.version, self.clock.now()), record, vectors)
        await self.heads.put_head(head)
        return head

    async def _made_of(self, head: Head, record: Submission, by_hash: dict[str, Vector]) -> Head:
        """*by_hash* is filled with the vectors of its passages."""
        document = record.document
        if document is None:
            return deleted(head)
        try:
            if isinstance(document, Invalid):
                raise document
            await self.registry.require(head.key.tenant, document.source_id)
            passages, sketched = await asyncio.to_thread(_read, document, self.cutting)  # may take a second
            if len(passages) > MAX_PASSAGES:
                raise Invalid(f"the document makes {len(passages):,} passages; at most {MAX_PASSAGES:,}: split it")
            vectors = await self._vectors(head, document, passages)
        except Invalid as error:
            return rejected(_seen_by(head, record.groups), str(error))
        by_hash.update(zip((passage.hash for passage in passages), vectors, strict=True))
        await self.passages.stage(head.key, head.version, document, passages, vectors, record.submitted_at)
        return published(head, document, passages, record.submitted_at, sketched)

    async def _vectors(self, head: Head, document: Document, passages: Sequence[Passage]) -> Vector:
        """One row a passage; what the live version holds under the same headings is not encoded again."""
        live = head.live.version
        known = await self.passages.vectors(head.key, live) if live != NO_VERSION else {}
        texts = [passage.embedded(document.title) for passage in passages]
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known |= dict(zip(new, await self.encoder.encode(new), strict=True))
        return np.stack([known[text] for text in texts])

    async def _finish(self, head: Head, log_part: str, vectors: Mapping[str, Vector]) -> None:
        """Take the old passages away and tell what became of the version, unless that was done."""
        if head.told:
            return
        if head.state is State.REJECTED:
            await self.announcer.document_rejected(head, log_part)
        else:
            await self.passages.remove_others(head.key, head.live.version)
            await self.announcer.document_changed(head, vectors)
        await self.heads.put_head(replace(head, told=True))
        log.debug("document_indexed", document_id=head.key.document_id, document_version=head.version)


def _read(document: Document, cutting: Cutting) -> tuple[list[Passage], str]:
    """Its passages and the sketch of its text."""
    return cut(document.text, cutting, document.layout), sketch(document.text)


def _seen_by(head: Head, groups: Sequence[str]) -> Head:
    """*head* for those whom the refused document was meant for, unless there is a live one whose readers they are."""
    if head.live.version != NO_VERSION:
        return head
    fit = tuple(group for group in groups if group.strip() and group != EVERYBODY)
    return replace(head, groups=fit if fit or not groups else (NOBODY,))
