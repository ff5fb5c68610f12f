"""`Index` on two embedded shards of Qdrant's engine.

Every update is in the shard's write-ahead log when it returns, so the death of the process loses none.

The engine holds the interpreter's lock while it works (measured), so threads would add their hand-over and win
nothing: everything runs on the event loop. Hence a search is one step that no update can come between.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

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
    IsEmptyCondition,
    KeywordIndexParams,
    MatchAny,
    MatchValue,
    Memory,
    Modifier,
    PayloadSchemaType,
    Point,
    QueryBatchRequest,
    QueryRequest,
    RangeFloat,
    ScrollRequest,
    SearchParams,
    UpdateOperation,
    VectorStorageDatatype,
)
from qdrant_edge import (
    Query as EngineQuery,
)

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters import payloads
from plumbline_retrieval.domain.document import EVERYBODY, Document, DocumentKey, Found, Passage
from plumbline_retrieval.domain.head import Head, Live, State
from plumbline_retrieval.domain.likeness import bands
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import CANDIDATES, PassageId, Ranked
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.ports import COMPARED, SAME, Read, Vector

log = structlog.get_logger()

DENSE: Final = "dense"
SPARSE: Final = "sparse"
Fields = Mapping[str, PayloadSchemaType | KeywordIndexParams]
PASSAGE_FIELDS: Final[Fields] = {
    # Where opening writes passages anew, each audience's come to lie together. Reading 99,000 of two audiences that had
    # been strewn among 180,000 takes 3.2 ms then, in place of 11.
    "audience": KeywordIndexParams(is_tenant=True),
    **dict.fromkeys(("document", "source", "language", "tags"), PayloadSchemaType.Keyword),
    "time": PayloadSchemaType.Float,
}
HEAD_FIELDS: Final[Fields] = dict.fromkeys(
    ("audience", "source", "origin", "text_hash", "bands", "registry"), PayloadSchemaType.Keyword
)
"""What is filtered by."""
PAGE: Final = 1_000
"""Points in one look, after which others get their turn."""
NEAR_PAGE: Final = 200
"""The same for documents of nearly the same text: a look at them is a union of many keys."""
STEP: Final = 32
"""Passages that are staged before others get their turn."""
FLUSH_EVERY: Final = 10_000
"""Updates between two flushes, each of which holds up all else: 20 to 40 ms where the disk is quiet, and up to 0.4 s
where others write to it. After a kill updates are replayed from the log: 10,000 hold up a start for 0.8 s."""
NEVER: Final = 10**9
"""Kilobytes. Building a graph, and opening it, holds the interpreter's lock from first to last: see decision 7."""
MOST_VERSIONS: Final = 100_000
"""Documents whose versions are kept at hand, about 25 MB."""


class QdrantIndex:
    """One process and one thread at a time."""

    def __init__(self, passages: EdgeShard, heads: EdgeShard) -> None:
        self._passages = passages
        self._heads = heads
        self._bm25 = Bm25()
        self._unflushed = 0
        self._shown: dict[tuple[str, str], tuple[int, int]] = {}

    @classmethod
    def open(cls, folder: Path, dimensions: int) -> "QdrantIndex":
        """The index in *folder*, made if there is none."""
        return cls(
            _open(folder / "passages", {DENSE: dimensions}, PASSAGE_FIELDS),
            _open(folder / "heads", {}, HEAD_FIELDS),
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
        self._shown.pop((head.key.tenant, head.key.document_id), None)
        self._update(self._heads, UpdateOperation.upsert_points([point]))
        self._remember(head.key.tenant, {head.key.document_id: (head.version, head.live.version)})

    async def list_heads(
        self, tenant: str, groups: Sequence[str], source_id: str, limit: int, token: str
    ) -> tuple[list[Head], str]:
        """See `Heads`."""
        wanted = _visible(tenant, groups, [_is("source", source_id)] if source_id else [])
        request = ScrollRequest(offset=payloads.offset_from(token), limit=limit, filter=wanted, with_payload=True)
        with _engine():
            records, following = self._heads.scroll(request)
        return [payloads.head_from(record.payload or {}) for record in records], str(following or "")

    async def heads_of(self, tenant: str, source_id: str) -> list[Head]:
        """See `Heads`."""
        wanted = Filter(must=[_is("origin", payloads.origin(tenant, source_id))])
        heads, offset = [], None
        while True:
            request = ScrollRequest(offset=offset, limit=PAGE, filter=wanted, with_payload=payloads.LIGHT_FIELDS)
            with _engine():
                records, offset = self._heads.scroll(request)
            heads += [payloads.head_from(record.payload or {}) for record in records]
            if offset is None:
                return [head for head in heads if head.state is not State.DELETED]
            await asyncio.sleep(0)  # others get their turn

    async def same_text(self, tenant: str, groups: Sequence[str], text_hash: str) -> list[str]:
        """See `Heads`."""
        wanted = _visible(tenant, groups, [_is("text_hash", text_hash)])
        request = ScrollRequest(limit=SAME, filter=wanted, with_payload=["document_id"])
        with _engine():
            records, _ = self._heads.scroll(request)
        return sorted((record.payload or {})["document_id"] for record in records)

    async def near_text(self, tenant: str, groups: Sequence[str], live: Live) -> dict[str, str]:
        """See `Heads`."""
        if not live.sketch:
            return {}
        alike = _visible(tenant, groups, [_is("bands", *bands(live.sketch))])
        wanted = Filter(must=[alike], must_not=[_is("text_hash", live.text_hash)])
        found: dict[str, str] = {}
        offset = None
        while True:
            limit = min(NEAR_PAGE, COMPARED - len(found))
            request = ScrollRequest(offset, limit, wanted, with_payload=["document_id", "sketch"])
            with _engine():
                records, offset = self._heads.scroll(request)
            found |= {payload["document_id"]: payload["sketch"] for record in records if (payload := record.payload)}
            if offset is None or len(found) >= COMPARED:
                return found
            await asyncio.sleep(0)  # others get their turn

    async def sources(self, tenant: str) -> dict[str, Source]:
        """See `Sources`."""
        with _engine():
            points = list(_scroll(self._heads, Filter(must=[_is("registry", tenant)]), True, []))
        return payloads.sources_from([payload for payload, _ in points])

    async def tenants(self) -> list[str]:
        """See `Sources`."""
        registered = Filter(must_not=[IsEmptyCondition("registry")])
        with _engine():
            return sorted({payload["registry"] for payload, _ in _scroll(self._heads, registered, ["registry"], [])})

    async def put_source(self, tenant: str, source: Source) -> None:
        """See `Sources`."""
        name = payloads.source_id(tenant, source.source_id)
        point = Point(name, {}, payloads.source_payload(tenant, source))
        self._update(self._heads, UpdateOperation.upsert_points([point]))

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """See `Sources`."""
        name = payloads.confirmation_id(tenant, source_id)
        point = Point(name, {}, payloads.confirmation_payload(tenant, source_id, at))
        self._update(self._heads, UpdateOperation.upsert_points([point]))

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
        rows = list(zip(passages, vectors, strict=True))
        for start in range(0, len(rows), STEP):
            points = [
                self._point(key, version, document, passage, vector, submitted_at)
                for passage, vector in rows[start : start + STEP]
            ]
            self._update(self._passages, UpdateOperation.upsert_points(points))
            await asyncio.sleep(0)

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """See `Passages`."""
        wanted = Filter(must=[_of_document(key), _of_version(version)])
        with _engine():
            points = list(_scroll(self._passages, wanted, True, [DENSE]))
        return {
            payloads.passage_from(payload).embedded(payload["title"]): np.array(vector[DENSE], np.float32)
            for payload, vector in points
        }

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        others = Filter(must=[_of_document(key)], must_not=[_of_version(version)])
        self._update(self._passages, UpdateOperation.delete_points_by_filter(others))

    async def ranked(self, scope: Scope, text: str, vector: Vector) -> Ranked:
        """See `Passages`."""
        wanted = _within(scope)
        # How rare a word is in what others may see must not show in the caller's ranking.
        rarity = SearchParams(idf=IdfParams(corpus=wanted))
        dense = EngineQuery.Nearest(vector.tolist(), using=DENSE)
        sparse = EngineQuery.Nearest(self._bm25.embed_query(text), using=SPARSE)
        requests = [
            QueryRequest(limit=CANDIDATES, query=dense, filter=wanted),
            QueryRequest(limit=CANDIDATES, query=sparse, filter=wanted, params=rarity),
        ]
        with _engine():
            lists = self._passages.query_batch(QueryBatchRequest(requests))
        return Ranked(*([(_number(point.id), point.score) for point in points] for points in lists))

    async def read(self, tenant: str, ids: Sequence[PassageId]) -> Read:
        """See `Passages`."""
        records = _retrieve(self._passages, _points(ids))
        known = {_number(name): payloads.found_from(payload) for name, payload in records.items()}
        versions = self._versions(tenant, {each.ref.document_id for each in known.values()})
        return payloads.read_of(known, versions, asked=len(ids))

    async def vectors_of(self, ids: Sequence[PassageId]) -> dict[PassageId, Vector]:
        """See `Passages`."""
        with _engine():
            records = self._passages.retrieve(_points(ids), with_payload=False, with_vector=[DENSE])
        named = {_number(record.id): record.vector for record in records}
        return {name: np.array(each[DENSE], np.float32) for name, each in named.items() if isinstance(each, dict)}

    async def around(self, tenant: str, found: Sequence[Found], reach: int) -> dict[tuple[str, int], Passage]:
        """See `Passages`."""
        records = _retrieve(self._passages, payloads.ids_around(tenant, found, reach))
        passages = [(payload["document_id"], payloads.passage_from(payload)) for payload in records.values()]
        return {(document_id, passage.ordinal): passage for document_id, passage in passages}

    def _point(
        self,
        key: DocumentKey,
        version: int,
        document: Document,
        passage: Passage,
        vector: Vector,
        submitted_at: datetime,
    ) -> Point:
        sparse = self._bm25.embed_document(passage.embedded(document.title))
        return Point(
            payloads.passage_id(key, version, passage.ordinal),
            {DENSE: vector.tolist(), SPARSE: sparse},
            payloads.passage_payload(key, version, document, passage, submitted_at),
        )

    def _versions(self, tenant: str, document_ids: set[str]) -> payloads.Versions:
        """Kept at hand, as nobody else writes here: reading those of 25 documents took 0.45 ms of a search's 4."""
        known = {name: self._shown[tenant, name] for name in document_ids if (tenant, name) in self._shown}
        ids = [payloads.head_id(DocumentKey(tenant, name)) for name in document_ids - known.keys()]
        found = _retrieve(self._heads, ids, ["document_id", "version", "live_version"]).values() if ids else ()
        read = {payload["document_id"]: (payload["version"], payload["live_version"]) for payload in found}
        self._remember(tenant, read)
        return known | read

    def _remember(self, tenant: str, versions: payloads.Versions) -> None:
        if len(self._shown) > MOST_VERSIONS:
            self._shown.clear()
        self._shown.update({(tenant, name): each for name, each in versions.items()})

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


def _number(point: object) -> int:
    """A point's id as this index names it: a UUID computes its hash and compares in Python, 700 times a search."""
    return point.int if isinstance(point, UUID) else UUID(str(point)).int


def _points(names: Sequence[PassageId]) -> list[int | UUID | str]:
    return [UUID(int=name) for name in names]


def _within(scope: Scope) -> Filter:
    conditions, chosen = list[FieldCondition](), scope.filter
    if chosen.source_ids:
        conditions.append(_is("source", *chosen.source_ids))
    if chosen.languages:
        conditions.append(_is("language", *chosen.languages))
    conditions += [_is("tags", payloads.tag(*pair)) for pair in chosen.metadata]
    if chosen.since or chosen.until:
        since, until = (None if moment is None else moment.timestamp() for moment in (chosen.since, chosen.until))
        conditions.append(FieldCondition("time", range=RangeFloat(gte=since, lt=until)))
    return _visible(scope.tenant, scope.groups, conditions)


def _visible(tenant: str, groups: Sequence[str], conditions: Sequence[FieldCondition]) -> Filter:
    """What these groups may see and all *conditions* hold for."""
    # A choice costs more than the vectors: three values take 1.4 ms with both lists of 31,000 passages one by one, and
    # 4.4 ms as `MatchAny` or inside `must`; two that hold 110,000 of 200,000 passages 13.6 ms in place of 25.3.
    audiences = payloads.audiences(tenant, [*groups, EVERYBODY])
    return Filter(must=list(conditions), should=[_is("audience", audience) for audience in audiences])


def _is(field: str, *values: str) -> FieldCondition:
    # The engine takes three times as long for a choice of one as for a value.
    return FieldCondition(field, match=MatchValue(values[0]) if len(values) == 1 else MatchAny(list(values)))


def _of_version(version: int) -> FieldCondition:
    return FieldCondition("version", match=MatchValue(version))


def _of_document(key: DocumentKey) -> FieldCondition:
    return _is("document", str(key))


def _retrieve(
    shard: EdgeShard, ids: Sequence[int | UUID | str], fields: list[str] | None = None
) -> dict[object, payloads.Payload]:
    with _engine():
        records = shard.retrieve(list(ids), with_payload=fields or True, with_vector=False)
    return {record.id: record.payload or {} for record in records}


def _scroll(
    shard: EdgeShard, wanted: Filter, fields: list[str] | bool, vectors: list[str]
) -> Iterator[tuple[payloads.Payload, dict[str, Any]]]:
    offset = None
    while True:
        request = ScrollRequest(offset=offset, limit=PAGE, filter=wanted, with_payload=fields, with_vector=vectors)
        records, offset = shard.scroll(request)
        for record in records:
            yield record.payload or {}, record.vector if isinstance(record.vector, dict) else {}
        if offset is None:
            return


def _open(folder: Path, vectors: dict[str, int], fields: Fields) -> EdgeShard:
    if folder.exists():
        shard = EdgeShard.load(str(folder))
        shard.optimize()  # gives back what deleted points took, if that is worth it
        return shard
    config = EdgeConfig(
        vectors={name: _vector_params(size) for name, size in vectors.items()},
        sparse_vectors={SPARSE: EdgeSparseVectorParams(modifier=Modifier.Idf)},
        payload_memory=Memory.Cached,
        max_search_threads=1,  # there is one reader, and hardly more segments
        optimizers=EdgeOptimizersConfig(indexing_threshold=NEVER),
        wal_enabled=True,
    )
    shard = EdgeShard.create(str(folder), config)
    for field, kind in fields.items():
        shard.update(UpdateOperation.create_field_index(field, kind))
    return shard


def _vector_params(size: int) -> EdgeVectorParams:
    # Rotated and in 8 bits: read in a quarter of the time of 32-bit floats, and 0.996 of the best 100 are the same.
    return EdgeVectorParams(size=size, distance=Distance.Cosine, datatype=VectorStorageDatatype.Turbo8)
