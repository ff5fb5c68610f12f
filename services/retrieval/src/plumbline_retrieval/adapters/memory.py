"""The ports in memory, for tests; the index passes the same contract suite as the engine."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np

from plumbline_kit.errors import Invalid
from plumbline_models.text import content_words
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Passage, PassageRef
from plumbline_retrieval.domain.head import Head, Live, State
from plumbline_retrieval.domain.likeness import bands
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import CANDIDATES, Ranked, Scored
from plumbline_retrieval.domain.source import Freshness, Source
from plumbline_retrieval.ports import COMPARED, SAME, Read, Vector


@dataclass(frozen=True, slots=True, eq=False)
class _Staged:
    key: DocumentKey
    version: int
    document: Document
    passage: Passage
    vector: Vector
    submitted_at: datetime

    def is_within(self, scope: Scope) -> bool:
        document, wanted = self.document, scope.filter
        time = document.content_time or self.submitted_at
        return (
            self.key.tenant == scope.tenant
            and (not document.groups or not set(document.groups).isdisjoint(scope.groups))
            and (not wanted.source_ids or document.source_id in wanted.source_ids)
            and (not wanted.languages or document.language in wanted.languages)
            and set(wanted.metadata) <= set(document.metadata)
            and (wanted.since is None or wanted.since <= time)
            and (wanted.until is None or time < wanted.until)
        )

    def found(self) -> Found:
        ref = PassageRef(self.key.document_id, self.version, self.passage.hash)
        document = self.document
        words = self.passage.words(document.title)
        return Found(ref, document.title, document.url, self.passage, document.source_id, self.submitted_at, words)


class MemoryIndex:
    """`Index` in dicts, with exact search."""

    def __init__(self) -> None:
        self._heads: dict[DocumentKey, Head] = {}
        self._staged: dict[str, _Staged] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self._confirmed: dict[tuple[str, str], datetime] = {}

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """See `Heads`."""
        return {key: self._heads[key] for key in keys if key in self._heads}

    async def put_head(self, head: Head) -> None:
        """See `Heads`."""
        self._heads[head.key] = head

    async def list_heads(
        self, tenant: str, groups: Sequence[str], source_id: str, limit: int, token: str
    ) -> tuple[list[Head], str]:
        """See `Heads`."""
        if token and not token.isdecimal():
            raise Invalid.field("page_token", "is not one that this service gave")
        heads = [head for head in self._of(tenant, groups) if source_id in ("", head.source_id)]
        end = int(token or 0) + limit
        return heads[int(token or 0) : end], str(end) if end < len(heads) else ""

    async def heads_of(self, tenant: str, source_id: str) -> list[Head]:
        """See `Heads`."""
        of_source = [head for head in self._heads.values() if (head.key.tenant, head.source_id) == (tenant, source_id)]
        return [head for head in of_source if head.state is not State.DELETED]

    async def same_text(self, tenant: str, groups: Sequence[str], text_hash: str) -> list[str]:
        """See `Heads`."""
        return [head.key.document_id for head in self._of(tenant, groups) if head.live.text_hash == text_hash][:SAME]

    async def near_text(self, tenant: str, groups: Sequence[str], live: Live) -> dict[str, str]:
        """See `Heads`."""
        wanted = set(bands(live.sketch))
        others = [head for head in self._of(tenant, groups) if head.live.text_hash != live.text_hash]
        near = [head for head in others if not wanted.isdisjoint(bands(head.live.sketch))]
        return {head.key.document_id: head.live.sketch for head in near[:COMPARED]}

    async def sources(self, tenant: str) -> dict[str, Source]:
        """See `Sources`."""
        return {
            name: replace(source, confirmed_at=self._confirmed.get((owner, name)))
            for (owner, name), source in self._sources.items()
            if owner == tenant
        }

    async def tenants(self) -> list[str]:
        """See `Sources`."""
        return sorted({tenant for tenant, _ in self._sources})

    async def put_source(self, tenant: str, source: Source) -> None:
        """See `Sources`."""
        self._sources[tenant, source.source_id] = source

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """See `Sources`."""
        self._confirmed[tenant, source_id] = at

    async def stage(
        self,
        key: DocumentKey,
        version: int,
        document: Document,
        passages: Sequence[Passage],
        vectors: Vector,
        submitted_at: datetime,
    ) -> None:
        """See `Passages`."""
        for passage, vector in zip(passages, vectors, strict=True):
            staged = _Staged(key, version, document, passage, vector, submitted_at)
            self._staged[f"{key}/{version}/{passage.ordinal}"] = staged

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """See `Passages`."""
        of_version = [each for each in self._staged.values() if (each.key, each.version) == (key, version)]
        return {each.passage.embedded(each.document.title): each.vector for each in of_version}

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        self._staged = {name: each for name, each in self._staged.items() if each.key != key or each.version == version}

    async def ranked(self, scope: Scope, text: str, vector: Vector) -> Ranked:
        """See `Passages`."""
        within = {name: each for name, each in self._staged.items() if each.is_within(scope)}
        words = set(content_words(text))
        shared = {name: float(len(words & set(content_words(each.passage.text)))) for name, each in within.items()}
        return Ranked(
            _best({name: float(each.vector @ vector) for name, each in within.items()}),
            _best({name: count for name, count in shared.items() if count}),
        )

    async def read(self, tenant: str, ids: Sequence[str]) -> Read:
        """See `Passages`."""
        return Read({name: self._found(name) for name in ids if self._is_live(name, tenant)}, lost=False)

    async def vectors_of(self, ids: Sequence[str]) -> dict[str, Vector]:
        """See `Passages`."""
        return {name: self._staged[name].vector for name in ids if name in self._staged}

    async def around(self, tenant: str, found: Sequence[Found], reach: int) -> dict[tuple[str, int], Passage]:
        """See `Passages`."""
        return {
            (each.key.document_id, each.passage.ordinal): each.passage
            for each in self._staged.values()
            for one in found
            if (each.key.tenant, each.key.document_id, each.version) == (tenant, one.ref.document_id, one.ref.version)
            and abs(each.passage.ordinal - one.passage.ordinal) <= reach
        }

    def _found(self, name: str) -> Found:
        staged = self._staged[name]
        superseded = self._heads[staged.key].is_superseded
        return replace(staged.found(), freshness=Freshness.SUPERSEDED if superseded else Freshness.CURRENT)

    def _is_live(self, name: str, tenant: str) -> bool:
        staged = self._staged.get(name)
        head = self._heads.get(staged.key) if staged else None
        return (
            staged is not None and head is not None and (head.key.tenant, head.live.version) == (tenant, staged.version)
        )

    def _of(self, tenant: str, groups: Sequence[str]) -> list[Head]:
        heads = [head for head in self._heads.values() if head.key.tenant == tenant and head.state is not State.DELETED]
        return sorted((head for head in heads if head.admits(groups)), key=lambda head: head.key.document_id)


class WordEncoder:
    """`PassageEncoder` and `QueryEncoder` without a model: texts are as close as the words that they share."""

    id: Final = "words@1"
    dimensions: Final = 64

    def __init__(self) -> None:
        self.encoded: list[str] = []

    async def encode(self, texts: Sequence[str]) -> Vector:
        """See `PassageEncoder`."""
        self.encoded += texts
        return np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, self.dimensions), np.float32)

    async def encode_one(self, text: str) -> Vector:
        """See `QueryEncoder`."""
        return self._vector(text)

    def _vector(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3, np.float32)
        for word in content_words(text):
            vector[zlib.crc32(word.encode()) % self.dimensions] += 1
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


class MemoryMark:
    """`ServingMark` in memory."""

    def __init__(self, generation_id: str = "") -> None:
        self.generation_id = generation_id

    async def serving(self) -> str:
        """See `ServingMark`."""
        return self.generation_id

    async def serve(self, generation_id: str) -> None:
        """See `ServingMark`."""
        self.generation_id = generation_id


def word_offsets(text: str) -> list[tuple[int, int]]:
    """A word is a token here."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def _best(scores: dict[str, float]) -> Scored:
    return sorted(scores.items(), key=lambda item: -item[1])[:CANDIDATES]
