"""`Heads` and `Passages` on two embedded shards of Qdrant's engine.

Every update is in the shard's write-ahead log when it returns, so the death of the process loses none.

The engine holds the interpreter's lock while it works (measured), so threads would add their hand-over and win
nothing: everything runs on the event loop. Hence a search is one step that no update can come between.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from qdrant_edge import (
    Bm25,
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    IdfParams,
    MatchAny,
    MatchValue,
    Memory,
    Modifier,
    PayloadSchemaType,
    Point,
    QueryRequest,
    ScrollRequest,
    SearchParams,
    UpdateOperation,
)
from qdrant_edge import (
    Query as EngineQuery,
)

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters import payloads
from plumbline_retrieval.domain.document import EVERYBODY, Document, DocumentKey, Found, Head, Passage
from plumbline_retrieval.domain.ranking import CANDIDATES, Query, Scored, fuse
from plumbline_retrieval.ports import Vector

log = structlog.get_logger()

DENSE: Final = "dense"
SPARSE: Final = "sparse"
STEP: Final = 32
"""Passages that are staged before others get their turn."""
SPARE: Final = 5
"""Passages looked at beyond twice those wanted: some may be of versions that are not live."""
FLUSH_EVERY: Final = 20_000
"""Updates between two flushes. The log is only cut at a flush: without any it grows for ever."""
NEVER: Final = 10**9
"""Kilobytes. Building a graph over 20,000 vectors stops everything for minutes; reading them all takes 2 ms."""


class QdrantIndex:
    """One process and one thread at a time."""

    def __init__(self, passages: EdgeShard, heads: EdgeShard) -> None:
        self._passages = passages
        self._heads = heads
        self._bm25 = Bm25()
        self._unflushed = 0

    @classmethod
    def open(cls, folder: Path, dimensions: int) -> "QdrantIndex":
        """The index in *folder*, made if there is none."""
        return cls(
            _open(folder / "passages", {DENSE: dimensions}, ("audience", "document")),
            _open(folder / "heads", {}, ()),
        )

    def close(self) -> None:
        """Write everything to its place."""
        for shard in (self._passages, self._heads):
            shard.flush()
            shard.close()

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """See `Heads`."""
        found = _retrieve(self._heads, [payloads.head_id(key) for key in keys])
        heads = [payloads.head_from(payload) for payload in found.values()]
        return {head.key: head for head in heads}

    async def put_head(self, head: Head) -> None:
        """See `Heads`."""
        point = Point(payloads.head_id(head.key), {}, payloads.head_payload(head))
        self._update(self._heads, UpdateOperation.upsert_points([point]))

    async def stage(
        self, key: DocumentKey, version: int, document: Document, passages: Sequence[Passage], vectors: Vector
    ) -> None:
        """See `Passages`."""
        rows = list(zip(passages, vectors, strict=True))
        for start in range(0, len(rows), STEP):
            points = [self._point(key, version, document, *row) for row in rows[start : start + STEP]]
            self._update(self._passages, UpdateOperation.upsert_points(points))
            await asyncio.sleep(0)

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """See `Passages`."""
        of_version = FieldCondition("version", match=MatchValue(version))
        wanted = Filter(must=[_of_document(key), of_version])
        with _engine():
            points = list(_scroll(self._passages, wanted, ["hash"], [DENSE]))
        return {payload["hash"]: np.array(vector[DENSE], np.float32) for payload, vector in points}

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        of_version = FieldCondition("version", match=MatchValue(version))
        others = Filter(must=[_of_document(key)], must_not=[of_version])
        self._update(self._passages, UpdateOperation.delete_points_by_filter(others))

    async def search(self, tenant: str, groups: Sequence[str], query: Query, vector: Vector) -> list[Found]:
        """See `Passages`."""
        ranked = self._ranked(tenant, groups, query, vector)[: 2 * query.limit + SPARE]
        known = _retrieve(self._passages, [name for name, _ in ranked])
        found = [payloads.found_from(known[name], score) for name, score in ranked]
        live = self._live_versions(tenant, {each.ref.document_id for each in found})
        return [each for each in found if live.get(each.ref.document_id) == each.ref.version][: query.limit]

    def _point(self, key: DocumentKey, version: int, document: Document, passage: Passage, vector: Vector) -> Point:
        sparse = self._bm25.embed_document(f"{document.title} {passage.text}")
        return Point(
            payloads.passage_id(key, version, passage.ordinal),
            {DENSE: vector.tolist(), SPARSE: sparse},
            payloads.passage_payload(key, version, document, passage),
        )

    def _ranked(self, tenant: str, groups: Sequence[str], query: Query, vector: Vector) -> list[tuple[str, float]]:
        audiences = payloads.audiences(tenant, [*groups, EVERYBODY])
        visible = Filter(must=[FieldCondition("audience", match=_any_of(audiences))])
        dense = EngineQuery.Nearest(vector.tolist(), using=DENSE)
        sparse = EngineQuery.Nearest(self._bm25.embed_query(query.text), using=SPARSE)
        # How rare a word is in what others may see must not show in the caller's ranking.
        rarity = SearchParams(idf=IdfParams(corpus=visible))
        return fuse(self._scored(dense, visible), self._scored(sparse, visible, rarity))

    def _scored(self, query: Any, visible: Filter, params: SearchParams | None = None) -> Scored:
        request = QueryRequest(limit=CANDIDATES, query=query, filter=visible, params=params)
        with _engine():
            points = self._passages.query(request)
        return [(str(point.id), point.score) for point in points]

    def _live_versions(self, tenant: str, document_ids: set[str]) -> dict[str, int]:
        ids = [payloads.head_id(DocumentKey(tenant, document_id)) for document_id in document_ids]
        found = _retrieve(self._heads, ids, ["document_id", "live_version"]).values()
        return {payload["document_id"]: payload["live_version"] for payload in found}

    def _update(self, shard: EdgeShard, operation: UpdateOperation) -> None:
        with _engine():
            shard.update(operation)
            self._unflushed += 1
            if self._unflushed >= FLUSH_EVERY:
                self._passages.flush()
                self._heads.flush()
                self._unflushed = 0


@contextmanager
def _engine() -> Iterator[None]:
    """The engine's failures as ours. It raises a bare `Exception` whatever is wrong, a full disk for one."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        log.error("index_failed", reason=str(error))
        raise Unavailable("the index cannot be used", retry_after=5.0) from error


def _any_of(values: Sequence[str]) -> MatchAny | MatchValue:
    # The engine takes three times as long for a choice of one as for a value.
    return MatchValue(values[0]) if len(values) == 1 else MatchAny(list(values))


def _of_document(key: DocumentKey) -> FieldCondition:
    return FieldCondition("document", match=MatchValue(str(key)))


def _retrieve(shard: EdgeShard, ids: Sequence[str], fields: list[str] | None = None) -> dict[str, payloads.Payload]:
    with _engine():
        records = shard.retrieve(list(ids), with_payload=fields or True, with_vector=False)
    return {str(record.id): record.payload or {} for record in records}


def _scroll(
    shard: EdgeShard, wanted: Filter, fields: list[str], vectors: list[str]
) -> Iterator[tuple[payloads.Payload, dict[str, Any]]]:
    offset = None
    while True:
        request = ScrollRequest(offset=offset, limit=1_000, filter=wanted, with_payload=fields, with_vector=vectors)
        records, offset = shard.scroll(request)
        for record in records:
            if record.payload is not None and isinstance(record.vector, dict):
                yield record.payload, record.vector
        if offset is None:
            return


def _open(folder: Path, vectors: dict[str, int], keywords: Sequence[str]) -> EdgeShard:
    if folder.exists():
        shard = EdgeShard.load(str(folder))
        shard.optimize()  # gives back what deleted points took, if that is worth it
        return shard
    config = EdgeConfig(
        vectors={name: EdgeVectorParams(size=size, distance=Distance.Cosine) for name, size in vectors.items()},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
        payload_memory=Memory.Cached,
        max_search_threads=1,  # there is one reader, and hardly more segments
        optimizers=EdgeOptimizersConfig(indexing_threshold=NEVER),
        wal_enabled=True,
    )
    shard = EdgeShard.create(str(folder), config)
    for field in keywords:
        shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
    return shard
