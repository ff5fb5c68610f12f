"""The ports in memory, for tests; the index passes the same contract suite as the engine."""

import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from plumbline_models.text import content_words
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Head, Passage, PassageRef
from plumbline_retrieval.domain.ranking import CANDIDATES, Query, Scored, fuse
from plumbline_retrieval.ports import Vector

Staged = tuple[DocumentKey, int, Document, Passage, Vector]


class MemoryIndex:
    """`Heads` and `Passages` in dicts, with exact search."""

    def __init__(self) -> None:
        self._heads: dict[DocumentKey, Head] = {}
        self._staged: dict[str, Staged] = {}

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """See `Heads`."""
        return {key: self._heads[key] for key in keys if key in self._heads}

    async def put_head(self, head: Head) -> None:
        """See `Heads`."""
        self._heads[head.key] = head

    async def stage(
        self, key: DocumentKey, version: int, document: Document, passages: Sequence[Passage], vectors: Vector
    ) -> None:
        """See `Passages`."""
        for passage, vector in zip(passages, vectors, strict=True):
            self._staged[f"{key}/{version}/{passage.ordinal}"] = (key, version, document, passage, vector)

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """See `Passages`."""
        return {s[3].hash: s[4] for s in self._staged.values() if (s[0], s[1]) == (key, version)}

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        self._staged = {name: s for name, s in self._staged.items() if s[0] != key or s[1] == version}

    async def search(self, tenant: str, groups: Sequence[str], query: Query, vector: Vector) -> list[Found]:
        """See `Passages`."""
        visible = {name: staged for name, staged in self._staged.items() if self._is_visible(staged, tenant, groups)}
        dense = _best({name: float(staged[4] @ vector) for name, staged in visible.items()})
        words = set(content_words(query.text))
        shared = {name: float(len(words & set(content_words(s[3].text)))) for name, s in visible.items()}
        sparse = _best({name: count for name, count in shared.items() if count})
        return [_found(visible[name], score) for name, score in fuse(dense, sparse)][: query.limit]

    def _is_visible(self, staged: Staged, tenant: str, groups: Sequence[str]) -> bool:
        head = self._heads.get(staged[0])
        return head is not None and head.key.tenant == tenant and head.live_version == staged[1] and head.shows(groups)


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


def word_offsets(text: str) -> list[tuple[int, int]]:
    """A word is a token here."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def _best(scores: dict[str, float]) -> Scored:
    return sorted(scores.items(), key=lambda item: -item[1])[:CANDIDATES]


def _found(staged: Staged, score: float) -> Found:
    key, version, document, passage, _ = staged
    ref = PassageRef(key.document_id, version, passage.hash)
    return Found(ref, document.title, document.url, passage.text, passage.start, passage.end, score)
