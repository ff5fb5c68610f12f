"""`Index` on a Qdrant server or cluster, over gRPC.

A write returns once every replica that serves reads has it: the server takes those that fail out of service first. So
what is written before a head is there for whoever sees the head.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import numpy as np
import structlog
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException
from qdrant_edge import Bm25

from plumbline_kit.errors import Unavailable
from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters import payloads
from plumbline_retrieval.domain.document import EVERYBODY, Document, DocumentKey, Found, Passage
from plumbline_retrieval.domain.head import Head, Live, State
from plumbline_retrieval.domain.likeness import bands
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import CANDIDATES, Ranked, Scored
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.ports import COMPARED, SAME, Read, Vector

log = structlog.get_logger()

DENSE: Final = "dense"
SPARSE: Final = "sparse"
QUERY_SECONDS: Final = 5
WRITE_SECONDS: Final = 30
PORT: Final = 6334
MARK_SECONDS: Final = 1.0
STEP: Final = 32
"""Passages in one request: they are made ready on the event loop, where others wait for their turn."""
PAGE: Final = 1_000
"""Points in one answer."""
OLDEST: Final = (1, 19)
"""The first server that counts rarity in a scope. Those before it ignore the wish and count the whole collection."""

_KEYWORD: Final = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
_AUDIENCE: Final = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
PASSAGE_FIELDS: Final[Mapping[str, Any]] = {
    "audience": _AUDIENCE,  # a value begins with its tenant, so what one tenant reads lies together
    **dict.fromkeys(("document", "source", "language", "tags"), _KEYWORD),
    "time": models.PayloadSchemaType.FLOAT,
    "version": models.PayloadSchemaType.INTEGER,  # in strict mode a server refuses filters on fields without an index
}
HEAD_FIELDS: Final[Mapping[str, Any]] = dict.fromkeys(
    ("audience", "source", "origin", "text_hash", "bands", "registry"), _KEYWORD
)
"""What is filtered by."""

_EXACTLY: Final = models.QuantizationSearchParams(rescore=True, oversampling=2.0)
"""Without quantisation it says nothing."""
_FAILURES: Final = (ApiException, QdrantException, grpc.RpcError, grpc.aio.BaseError)


def connect(url: str, api_key: str = "") -> AsyncQdrantClient:
    """A client of the server at *url*, whose port is the one for gRPC; nothing is sent yet."""
    return AsyncQdrantClient(
        url=url,
        grpc_port=urlsplit(url).port or PORT,
        prefer_grpc=True,
        api_key=api_key or None,
        timeout=WRITE_SECONDS,
        check_compatibility=False,  # it would ask over HTTP, from a thread; `prepare` asks itself
        # Or a machine that vanished is waited for until the kernel gives it up, after a quarter of an hour.
        grpc_options={"grpc.keepalive_time_ms": 20_000, "grpc.keepalive_timeout_ms": 5_000},
    )


class ServerIndex:
    """Any number of processes at a time. Every method raises `Unavailable` when the server cannot be used.

    It finds what `QdrantIndex` finds, but for two things: over many passages the server walks a graph, which may miss
    some of the nearest; and each shard counts how rare a word is within its own part of the caller's scope. A machine
    that is cut off from its cluster may for a while show what it held before.
    """

    def __init__(self, client: AsyncQdrantClient, generation: str) -> None:
        """*client* speaks gRPC and its own timeout is that of writes. See `prepare`."""
        self._client = client
        self._passages = f"plumbline-{generation}-passages"
        self._heads = f"plumbline-{generation}-heads"
        self._bm25 = Bm25()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        api_key: str = "",
        generation: str,
        dimensions: int,
        shards: int = 1,
        replicas: int = 1,
        quantised: bool = False,
    ) -> "ServerIndex":
        """The index of *generation* on the server at *url*, made if there is none. Raises as `prepare` does."""
        index = cls(connect(url, api_key), generation)
        try:
            await index.prepare(dimensions, shards=shards, replicas=replicas, quantised=quantised)
        except BaseException:
            await index.aclose()
            raise
        return index

    async def prepare(self, dimensions: int, *, shards: int = 1, replicas: int = 1, quantised: bool = False) -> None:
        """Make what is not there yet; whatever is there stays as it is, and another process may do the same meanwhile.

        Raises `SettingsError` for a server that is too old and for a generation with vectors of another size.
        """
        spread = {"shard_number": shards, "replication_factor": replicas, "timeout": WRITE_SECONDS}
        with _server():
            _check_version((await self._client.info()).version)
            made = await self._make(self._passages, PASSAGE_FIELDS, **_passages_of(dimensions, quantised), **spread)
            await self._make(self._heads, HEAD_FIELDS, vectors_config={}, **spread)
        _check_dimensions(made, dimensions)

    async def mark(self) -> str:
        """The random name that the collections got when they were made: new ones are to be filled from the start."""
        if not (found := await self._retrieve(self._heads, [payloads.MARK_ID])):
            await self._put(payloads.MARK_ID, {"mark": uuid.uuid4().hex[:12]})
            await asyncio.sleep(MARK_SECONDS)  # of two processes that find none at once, both take the later one's
            found = await self._retrieve(self._heads, [payloads.MARK_ID])
        return str((found[0].payload or {})["mark"])

    async def is_complete(self) -> bool:
        """Whether the generation was whole once."""
        return bool(await self._retrieve(self._heads, [payloads.COMPLETE_ID]))

    async def completed(self) -> None:
        """Remember, for every process, that it is."""
        await self._put(payloads.COMPLETE_ID, {})

    async def serving(self) -> str:
        """See `ServingMark`."""
        found = await self._retrieve(self._heads, [payloads.SERVING_ID])
        return str((found[0].payload or {})["generation"]) if found else ""

    async def serve(self, generation_id: str) -> None:
        """See `ServingMark`."""
        await self._put(payloads.SERVING_ID, {"generation": generation_id})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """See `Heads`."""
        records = await self._retrieve(self._heads, [payloads.head_id(key) for key in keys])
        heads = [payloads.head_from(record.payload or {}) for record in records]
        return {head.key: head for head in heads}

    async def put_head(self, head: Head) -> None:
        """See `Heads`."""
        await self._put(payloads.head_id(head.key), payloads.head_payload(head))

    async def list_heads(
        self, tenant: str, groups: Sequence[str], source_id: str, limit: int, token: str
    ) -> tuple[list[Head], str]:
        """See `Heads`."""
        wanted = _all([_visible(tenant, groups), *([_is("source", source_id)] if source_id else [])])
        offset = payloads.offset_from(token)
        with _server():
            records, following = await self._client.scroll(
                self._heads, wanted, limit, offset=offset, timeout=QUERY_SECONDS
            )
        return [payloads.head_from(record.payload or {}) for record in records], str(following or "")

    async def heads_of(self, tenant: str, source_id: str) -> list[Head]:
        """See `Heads`."""
        of_source = _all([_is("origin", payloads.origin(tenant, source_id))])
        records = await self._scroll(self._heads, of_source, payloads.LIGHT_FIELDS)
        heads = [payloads.head_from(record.payload or {}) for record in records]
        return [head for head in heads if head.state is not State.DELETED]

    async def same_text(self, tenant: str, groups: Sequence[str], text_hash: str) -> list[str]:
        """See `Heads`."""
        wanted = _all([_visible(tenant, groups), _is("text_hash", text_hash)])
        with _server():
            records, _ = await self._client.scroll(
                self._heads, wanted, SAME, with_payload=["document_id"], timeout=QUERY_SECONDS
            )
        return sorted((record.payload or {})["document_id"] for record in records)

    async def near_text(self, tenant: str, groups: Sequence[str], live: Live) -> dict[str, str]:
        """See `Heads`."""
        if not live.sketch:
            return {}
        alike = [_visible(tenant, groups), _is("bands", *bands(live.sketch))]
        wanted = models.Filter(must=list(alike), must_not=[_is("text_hash", live.text_hash)])
        with _server():
            records, _ = await self._client.scroll(
                self._heads, wanted, COMPARED, with_payload=["document_id", "sketch"], timeout=QUERY_SECONDS
            )
        return {payload["document_id"]: payload["sketch"] for record in records if (payload := record.payload)}

    async def sources(self, tenant: str) -> dict[str, Source]:
        """See `Sources`."""
        records = await self._scroll(self._heads, _all([_is("registry", tenant)]))
        return payloads.sources_from([record.payload or {} for record in records])

    async def tenants(self) -> list[str]:
        """See `Sources`."""
        empty = models.IsEmptyCondition(is_empty=models.PayloadField(key="registry"))
        records = await self._scroll(self._heads, models.Filter(must_not=[empty]), ["registry"])
        return sorted({(record.payload or {})["registry"] for record in records})

    async def put_source(self, tenant: str, source: Source) -> None:
        """See `Sources`."""
        await self._put(payloads.source_id(tenant, source.source_id), payloads.source_payload(tenant, source))

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """See `Sources`."""
        payload = payloads.confirmation_payload(tenant, source_id, at)
        await self._put(payloads.confirmation_id(tenant, source_id), payload)

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
            await _done(self._client.upsert(self._passages, points, wait=True, timeout=WRITE_SECONDS))

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """See `Passages`."""
        wanted = _all([_of_document(key), _of_version(version)])
        records = await self._scroll(self._passages, wanted, vectors=[DENSE])
        return {
            payloads.passage_from(payload).embedded(payload["title"]): _dense(record)
            for record in records
            if (payload := record.payload)
        }

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """See `Passages`."""
        others = models.Filter(must=[_of_document(key)], must_not=[_of_version(version)])
        await _done(self._client.delete(self._passages, others, wait=True, timeout=WRITE_SECONDS))

    async def ranked(self, scope: Scope, text: str, vector: Vector) -> Ranked:
        """See `Passages`."""
        wanted, words = _within(scope), self._bm25.embed_query(text)
        # How rare a word is in what others may see must not show in the caller's ranking.
        rarity = models.SearchParams(idf=models.IdfCorpusParams(corpus=wanted))
        requests = [
            _nearest(vector.tolist(), DENSE, wanted, models.SearchParams(quantization=_EXACTLY)),
            _nearest(_sparse(words), SPARSE, wanted, rarity),
        ]
        with _server():
            dense, sparse = await self._client.query_batch_points(self._passages, requests, timeout=QUERY_SECONDS)
        return Ranked(_scored(dense), _scored(sparse))

    async def read(self, tenant: str, ids: Sequence[str]) -> Read:
        """See `Passages`."""
        records = await self._retrieve(self._passages, ids)
        known = {str(record.id): payloads.found_from(record.payload or {}) for record in records}
        versions = await self._versions(tenant, {each.ref.document_id for each in known.values()})
        return payloads.read_of(known, versions, asked=len(ids))

    async def vectors_of(self, ids: Sequence[str]) -> dict[str, Vector]:
        """See `Passages`."""
        records = await self._retrieve(self._passages, ids, fields=False, vectors=[DENSE])
        return {str(record.id): _dense(record) for record in records}

    async def around(self, tenant: str, found: Sequence[Found], reach: int) -> dict[tuple[str, int], Passage]:
        """See `Passages`."""
        records = await self._retrieve(self._passages, payloads.ids_around(tenant, found, reach))
        near = [
            (payload["document_id"], payloads.passage_from(payload)) for each in records if (payload := each.payload)
        ]
        return {(document_id, passage.ordinal): passage for document_id, passage in near}

    async def _make(self, name: str, fields: Mapping[str, Any], **config: Any) -> models.CollectionInfo:
        if not await self._client.collection_exists(name):
            try:
                await self._client.create_collection(name, **config)
            except _FAILURES:
                if not await self._client.collection_exists(name):  # else another process was faster
                    raise
        info = await self._client.get_collection(name)
        for field in fields.keys() - info.payload_schema.keys():
            await _done(self._client.create_payload_index(name, field, fields[field], wait=True, timeout=WRITE_SECONDS))
        return info

    def _point(
        self,
        key: DocumentKey,
        version: int,
        document: Document,
        passage: Passage,
        vector: Vector,
        submitted_at: datetime,
    ) -> models.PointStruct:
        words = self._bm25.embed_document(passage.embedded(document.title))
        return models.PointStruct(
            id=payloads.passage_id(key, version, passage.ordinal),
            vector={DENSE: vector.tolist(), SPARSE: _sparse(words)},
            payload=payloads.passage_payload(key, version, document, passage, submitted_at),
        )

    async def _versions(self, tenant: str, document_ids: set[str]) -> payloads.Versions:
        ids = [payloads.head_id(DocumentKey(tenant, document_id)) for document_id in document_ids]
        records = await self._retrieve(self._heads, ids, fields=["document_id", "version", "live_version"])
        found = [record.payload or {} for record in records]
        return {payload["document_id"]: (payload["version"], payload["live_version"]) for payload in found}

    async def _put(self, name: str, payload: payloads.Payload) -> None:
        point = models.PointStruct(id=name, vector={}, payload=payload)
        ordering = models.WriteOrdering.STRONG  # two writers of a head go through the same replica
        await _done(self._client.upsert(self._heads, [point], wait=True, ordering=ordering, timeout=WRITE_SECONDS))

    async def _retrieve(
        self, collection: str, ids: Sequence[str], *, fields: list[str] | bool = True, vectors: list[str] | bool = False
    ) -> list[models.Record]:
        if not ids:
            return []
        with _server():
            return await self._client.retrieve(
                collection, list(ids), with_payload=fields, with_vectors=vectors, timeout=QUERY_SECONDS
            )

    async def _scroll(
        self, collection: str, wanted: models.Filter, fields: list[str] | bool = True, vectors: list[str] | bool = False
    ) -> list[models.Record]:
        found: list[models.Record] = []
        offset = None
        while True:
            with _server():
                records, offset = await self._client.scroll(
                    collection,
                    wanted,
                    PAGE,
                    offset=offset,
                    with_payload=fields,
                    with_vectors=vectors,
                    timeout=QUERY_SECONDS,
                )
            found += records
            if offset is None:
                return found


@contextmanager
def _server() -> Iterator[None]:
    """The client's failures as ours; where the server stands is told to the log only."""
    try:
        yield
    except _FAILURES as error:
        log.error("index_failed", reason=error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error))
        raise _unusable() from error


async def _done(update: Awaitable[models.UpdateResult]) -> None:
    """Returns once *update* shows. The server takes no longer than it was told to, and then says so without failing."""
    with _server():
        result = await update
    if result.status is not models.UpdateStatus.COMPLETED:
        log.error("index_failed", reason=f"an update is {result.status}")
        raise _unusable()


def _unusable() -> Unavailable:
    return Unavailable("the index cannot be used", retry_after=5.0)


def _check_version(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise SettingsError(
            f"the Qdrant server is of version {version}, {'.'.join(map(str, OLDEST))} or later is needed: "
            f"those before it let a caller's ranking show which words others' documents hold"
        )


def _check_dimensions(passages: models.CollectionInfo, dimensions: int) -> None:
    vectors = passages.config.params.vectors
    size = vectors[DENSE].size if isinstance(vectors, dict) else None
    if size != dimensions:
        raise SettingsError(
            f"the generation holds vectors of {size} numbers and the encoder makes {dimensions}: "
            f"give the index of another encoder another generation"
        )


def _passages_of(dimensions: int, quantised: bool) -> dict[str, Any]:
    """Quantised, one byte a number stays in memory and the numbers themselves are read from disk to score the best."""
    dense = models.VectorParams(size=dimensions, distance=models.Distance.COSINE)
    if quantised:
        small = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, memory=models.Memory.PINNED)
        dense.quantization_config = models.ScalarQuantization(scalar=small)
        dense.memory = models.Memory.COLD
    return {
        "vectors_config": {DENSE: dense},
        "sparse_vectors_config": {SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
    }


def _nearest(
    query: list[float] | models.SparseVector, using: str, wanted: models.Filter, params: models.SearchParams
) -> models.QueryRequest:
    return models.QueryRequest(query=query, using=using, filter=wanted, params=params, limit=CANDIDATES)


def _scored(answer: models.QueryResponse) -> Scored:
    return [(str(point.id), point.score) for point in answer.points]


def _sparse(words: Any) -> models.SparseVector:
    return models.SparseVector(indices=words.indices, values=words.values)


def _dense(record: models.Record) -> Vector:
    vectors: Any = record.vector
    return np.array(vectors[DENSE], np.float32)


def _within(scope: Scope) -> models.Filter:
    wanted, chosen = [_visible(scope.tenant, scope.groups)], scope.filter
    if chosen.source_ids:
        wanted.append(_is("source", *chosen.source_ids))
    if chosen.languages:
        wanted.append(_is("language", *chosen.languages))
    wanted += [_is("tags", payloads.tag(*pair)) for pair in chosen.metadata]
    if chosen.since or chosen.until:
        since, until = (None if moment is None else moment.timestamp() for moment in (chosen.since, chosen.until))
        wanted.append(models.FieldCondition(key="time", range=models.Range(gte=since, lt=until)))
    return _all(wanted)


def _all(conditions: Sequence[models.FieldCondition]) -> models.Filter:
    return models.Filter(must=list(conditions))


def _visible(tenant: str, groups: Sequence[str]) -> models.FieldCondition:
    return _is("audience", *payloads.audiences(tenant, [*groups, EVERYBODY]))


def _is(field: str, *values: str) -> models.FieldCondition:
    # The engine takes three times as long for a choice of one as for a value.
    only = models.MatchValue(value=values[0]) if len(values) == 1 else models.MatchAny(any=list(values))
    return models.FieldCondition(key=field, match=only)


def _of_version(version: int) -> models.FieldCondition:
    return models.FieldCondition(key="version", match=models.MatchValue(value=version))


def _of_document(key: DocumentKey) -> models.FieldCondition:
    return _is("document", str(key))
