"""`Heads` and `Passages` in dicts, with exact search. For tests; passes the same contract suite as the engine."""

from collections.abc import Sequence

from plumbline_models.text import content_words
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Head, Passage, PassageRef
from plumbline_retrieval.domain.ranking import CANDIDATES, Query, Scored, fuse
from plumbline_retrieval.ports import Vector

Staged = tuple[DocumentKey, int, Document, Passage, Vector]


class MemoryIndex:
    """Holds everything, forgets it with the process."""

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
        return (
            head is not None
            and head.key.tenant == tenant
            and head.live_version == staged[1]
            and head.visible_to(groups)
        )


def _best(scores: dict[str, float]) -> Scored:
    return sorted(scores.items(), key=lambda item: -item[1])[:CANDIDATES]


def _found(staged: Staged, score: float) -> Found:
    key, version, document, passage, _ = staged
    ref = PassageRef(key.document_id, version, passage.hash)
    return Found(ref, document.title, document.url, passage.text, passage.start, passage.end, score)
