"""Passages out: search, and verify what was found earlier."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plumbline_kit.errors import Invalid
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.document import DocumentKey, Found, PassageRef
from plumbline_retrieval.domain.ranking import Query
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.ports import Heads, Passages, QueryEncoder, Vector

MAX_SOURCES = 1_000


@dataclass(frozen=True)
class SearchPassages:
    """Finds the passages that fit a question best."""

    passages: Passages
    encoder: QueryEncoder
    readiness: Readiness

    async def __call__(self, identity: Identity, query: Query, vector: Vector | None, encoder_id: str) -> list[Found]:
        """Raises `Invalid` for a vector of another encoder, `Unavailable` while the index is rebuilt."""
        self.readiness.require()
        if vector is None:
            vector = await self.encoder.encode_one(query.text)
        else:
            self._check(vector, encoder_id)
        return await self.passages.search(identity.tenant, identity.groups, query, vector)

    def _check(self, vector: Vector, encoder_id: str) -> None:
        if encoder_id != self.encoder.id:
            raise Invalid.field("embedding.encoder_id", f"is {encoder_id}, the index holds {self.encoder.id}")
        if vector.shape != (self.encoder.dimensions,) or not np.isfinite(vector).all():
            raise Invalid.field("embedding.values", f"must be {self.encoder.dimensions} finite numbers")


@dataclass(frozen=True)
class VerifySources:
    """Says which passages are no longer part of their live document."""

    heads: Heads
    readiness: Readiness

    async def __call__(self, identity: Identity, sources: Sequence[PassageRef]) -> list[PassageRef]:
        """Those that changed, are gone, or are not the caller's to see any more, in the order asked."""
        if len(sources) > MAX_SOURCES:
            raise Invalid.field("sources", f"has {len(sources)} entries; at most {MAX_SOURCES} are allowed")
        self.readiness.require()
        keys = {source.document_id: DocumentKey(identity.tenant, source.document_id) for source in sources}
        heads = await self.heads.heads(list(keys.values()))

        def is_current(source: PassageRef) -> bool:
            head = heads.get(keys[source.document_id])
            return head is not None and head.shows(identity.groups) and source.passage_hash in head.passage_hashes

        return [source for source in sources if not is_current(source)]
