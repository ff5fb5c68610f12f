"""One record of the corpus into the index, safe to stop anywhere and to repeat."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.chunking import Offsets, cut
from plumbline_retrieval.domain.document import (
    NO_VERSION,
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
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.ports import Announcer, Heads, PassageEncoder, Passages, Vector

log = structlog.get_logger()

TITLE_CHARACTERS = 120
"""What the encoder sees of a title: a longer one would push the passage out of its window."""


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

    async def __call__(
        self, key: DocumentKey, version: int, document: Document | Invalid | None, log_part: str
    ) -> None:
        """*document* is None for a deletion, `Invalid` where the record holds no acceptable one.

        *log_part* names the part of the log where the document's versions lie. Raises `Unavailable`; the record
        then has to come again.
        """
        before = (await self.heads.heads([key])).get(key)
        if before is None or before.version < version:
            head = await self._advance(before, next_head(before, key, version, self.clock.now()), document, log_part)
        else:
            head = before
        self.progress.reached(key, head.version)
        if head.version == version:
            await self._finish(head, log_part)

    async def _advance(
        self, before: Head | None, head: Head, document: Document | Invalid | None, log_part: str
    ) -> Head:
        if before is not None:
            # Its own record may never come again: the log forgets a version once there is a newer one.
            await self._finish(before, log_part)
        head = await self._made_of(head, document)
        await self.heads.put_head(head)
        return head

    async def _made_of(self, head: Head, document: Document | Invalid | None) -> Head:
        if document is None:
            return deleted(head)
        if isinstance(document, Invalid):
            return rejected(head, str(document))
        passages = await asyncio.to_thread(cut, document.text, self.offsets)  # a large one takes a second
        vectors = await self._vectors(head, document, passages)
        await self.passages.stage(head.key, head.version, document, passages, vectors)
        return published(head, document, passages)

    async def _vectors(self, live: Head, document: Document, passages: Sequence[Passage]) -> Vector:
        """One row a passage; what the live version holds under the same title is not encoded again."""
        same = live.live_version != NO_VERSION and live.title == document.title
        known = await self.passages.vectors(live.key, live.live_version) if same else {}
        new = [passage for passage in passages if passage.hash not in known]
        encoded = await self.encoder.encode([_embedded(document, passage) for passage in new])
        known |= {passage.hash: vector for passage, vector in zip(new, encoded, strict=True)}
        return np.stack([known[passage.hash] for passage in passages])

    async def _finish(self, head: Head, log_part: str) -> None:
        """Take the old passages away and tell what became of the version, unless that was done."""
        if head.told:
            return
        if head.state is State.REJECTED:
            await self.announcer.document_rejected(head, log_part)
        else:
            await self.passages.remove_others(head.key, head.live_version)
            await self.announcer.document_changed(head)
        await self.heads.put_head(replace(head, told=True))
        log.debug("document_indexed", document_id=head.key.document_id, document_version=head.version)


def _embedded(document: Document, passage: Passage) -> str:
    """What the encoder sees of a passage: a passage alone often does not say what it is about."""
    title = document.title[:TITLE_CHARACTERS]
    return f"{title}\n{passage.text}" if title else passage.text
