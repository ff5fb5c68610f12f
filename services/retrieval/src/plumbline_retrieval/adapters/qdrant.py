"""`Heads` and `Passages` on two embedded shards of Qdrant's engine.

Every update is in the shard's write-ahead log when it returns, so the death of the process loses none.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from qdrant_edge import (
    Bm25,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    MatchAny,
    MatchValue,
    Memory,
    Modifier,
    PayloadSchemaType,
    Point,
    QueryRequest,
    UpdateOperation,
)
from qdrant_edge import (
    Query as EngineQuery,
)

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters import payloads
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Head, Passage
from plumbline_retrieval.domain.ranking import CANDIDATES, Query, Scored, fuse
from plumbline_retrieval.ports import Vector

T = TypeVar("T")

DENSE: Final = "dense"
SPARSE: Final = "sparse"
READERS: Final = 2
LOOKS: Final = 5
"""How often a search looks again because documents changed under it."""
FLUSH_EVERY: Final = 20_000
"""Updates between two flushes. The log is only cut at a flush: without any it grows for ever."""


class QdrantIndex:
    """One process at a time. Reads run in a few threads, writes in one."""

    def __init__(self, passages: EdgeShard, heads: EdgeShard) -> None:
        self._passages = passages
        self._heads = heads
        self._bm25 = Bm25()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="index-reader")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="index-writer")
        self._unflushed = 0

    @classmethod
    def open(cls, folder: Path, dimensions: int) -> "QdrantIndex":
        """The index in *folder*, made if there is none."""
        return cls(
            _open(folder / "passages", {DENSE: dimensions}, ("audience", "document")),
            _open(folder / "heads", {}, ()),
        )

    def close(self) -> None:
        """Finish what was begun and write everything to its place."""
        for threads in (self._readers, self._writer):
            threads.shutdown()
        for shard in (self._passages, self._heads):
            shard.flush()
            shard.close()

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """See `Heads`."""
        return await self._read(partial(self._heads_of, keys))

    async def put_head(self, head: Head) -> None:
        """See `Heads`."""
        point = Point(payloads.head_id(head.key), {}, payloads.head_payload(head))
        await self._write(self._heads, lambda: UpdateOperation.upsert_points([point]))

    async def stage(
        self, key: DocumentKey, version: int, document: Document, passages: Sequence[Passage], vectors: Vector
    ) -> None:
        """See `Passages`."""

        def points() -> UpdateOperation:
            return UpdateOperation.upsert_points(
                [
                    Point(
                        payloads.passage_id(key, version, passage.ordinal),
                        {DENSE: vector.tolist(), SPARSE: self._bm25.embed_document(f"{document.title} {passage.text}")},
                        payloads.passage_payload(key, version, document, passage),
                    )
                    for passage, vector in zip(passages, vectors, strict=True)
                ]
            )

        await self._write(self._passages, points)

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        of_document = FieldCondition("document", match=MatchValue(str(key)))
        of_version = FieldCondition("version", match=MatchValue(version))
        others = Filter(must=[of_document], must_not=[of_version])
        await self._write(self._passages, lambda: UpdateOperation.delete_points_by_filter(others))

    async def search(self, tenant: str, groups: Sequence[str], query: Query, vector: Vector) -> list[Found]:
        """See `Passages`."""
        return await self._read(partial(self._search, tenant, groups, query, vector.tolist()))

    def _search(self, tenant: str, groups: Sequence[str], query: Query, vector: list[float]) -> list[Found]:
        for _ in range(LOOKS):
            found, changed = self._look(tenant, groups, query, vector)
            if not changed:
                return found
        return found

    def _look(self, tenant: str, groups: Sequence[str], query: Query, vector: list[float]) -> tuple[list[Found], bool]:
        """What is live, and whether a document went live anew while we looked, so that its passages are missing."""
        ranked = self._ranked(tenant, groups, query, vector)[: 2 * query.limit + LOOKS]
        known = _payloads(self._passages, [name for name, _ in ranked])
        found = [payloads.found_from(known[name], score) for name, score in ranked if name in known]
        heads = self._heads_of([DocumentKey(tenant, each.ref.document_id) for each in found])
        live = {head.key.document_id: head.live_version for head in heads.values()}
        current = [each for each in found if live.get(each.ref.document_id) == each.ref.version]
        changed = len(known) < len(ranked) or any(live.get(f.ref.document_id, -1) > f.ref.version for f in found)
        return current[: query.limit], changed

    def _ranked(self, tenant: str, groups: Sequence[str], query: Query, vector: list[float]) -> list[tuple[str, float]]:
        visible = Filter(
            must=[FieldCondition("audience", match=_any_of(payloads.audiences(tenant, [*groups, payloads.EVERYBODY])))]
        )
        dense = EngineQuery.Nearest(vector, using=DENSE)
        sparse = EngineQuery.Nearest(self._bm25.embed_query(query.text), using=SPARSE)
        return fuse(*(self._scored(each, visible) for each in (dense, sparse)))

    def _scored(self, query: Any, visible: Filter) -> Scored:
        points = self._passages.query(QueryRequest(limit=CANDIDATES, query=query, filter=visible))
        return [(str(point.id), point.score) for point in points]

    def _heads_of(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        ids = [payloads.head_id(key) for key in dict.fromkeys(keys)]
        heads = [payloads.head_from(payload) for payload in _payloads(self._heads, ids).values()]
        return {head.key: head for head in heads}

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._run(self._readers, work)

    async def _write(self, shard: EdgeShard, operation: Callable[[], UpdateOperation]) -> None:
        await self._run(self._writer, partial(self._update, shard, operation))

    def _update(self, shard: EdgeShard, operation: Callable[[], UpdateOperation]) -> None:
        shard.update(operation())
        self._unflushed += 1
        if self._unflushed >= FLUSH_EVERY:
            self._passages.flush()
            self._heads.flush()
            self._unflushed = 0

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except OSError as error:
            raise Unavailable(f"the index cannot be used: {error}", retry_after=5.0) from error


def _any_of(values: Sequence[str]) -> MatchAny | MatchValue:
    # The engine takes three times as long for a choice of one as for a value.
    return MatchValue(values[0]) if len(values) == 1 else MatchAny(list(values))


def _payloads(shard: EdgeShard, ids: Sequence[str]) -> dict[str, payloads.Payload]:
    records = shard.retrieve(list(ids), with_payload=True, with_vector=False)
    return {str(record.id): record.payload or {} for record in records}


def _open(folder: Path, vectors: dict[str, int], keywords: Sequence[str]) -> EdgeShard:
    if folder.exists():
        return EdgeShard.load(str(folder))
    config = EdgeConfig(
        vectors={name: EdgeVectorParams(size=size, distance=Distance.Cosine) for name, size in vectors.items()},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
        payload_memory=Memory.Cached,
        max_search_threads=1,  # there are few segments and several readers: more threads only get in each other's way
        wal_enabled=True,
    )
    shard = EdgeShard.create(str(folder), config)
    for field in keywords:
        shard.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
    return shard
