"""`Store` on a Qdrant server or cluster, over gRPC, shared by any number of processes.

A write returns once every replica that serves reads has it, and goes through its shard's leader, so writes of a point
have one order. What is only to be changed if it is what was read is written on a condition that the server checks, and
read again.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import structlog
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from plumbline_cache.adapters import payloads
from plumbline_cache.domain.addition import Addition, least_similarity
from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector
from plumbline_cache.domain.freshness import Floor, Floors, Notice
from plumbline_cache.domain.withdrawal import Selection, Withdrawal
from plumbline_kit.errors import Unavailable

log = structlog.get_logger()

VECTOR: Final = "question"
PORT: Final = 6334
PAGE: Final = 128
MOST_VALUES: Final = 1_000_000
READ_SECONDS: Final = 1
"""The client's least. A lookup waits 20 ms; its thread is free again after this long."""
WRITE_SECONDS: Final = 30
RETRY_SECONDS: Final = 5.0

ETAG: Final = "etag"
"""Of what changes on a condition: the hash of what a reader saw."""
AT: Final = "at"
"""Of what only a later one replaces: seconds since 1970."""
_MARK_ID: Final = "5d6a0f8e-8b1c-5c0b-9d53-0c7e0b7f3a11"

_KEYWORD: Final = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
_FIELDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("kind", "tenant", "holder", "added_to", "documents", "answer_id", "made_by", ETAG), _KEYWORD),
    # A graph for each scope, and none across scopes, which nobody asks for.
    "scope": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    **dict.fromkeys(payloads.TIMES, models.PayloadSchemaType.FLOAT),
    AT: models.PayloadSchemaType.FLOAT,  # in strict mode a server refuses filters on fields without an index
}
_GRAPH: Final = models.HnswConfigDiff(m=0, payload_m=16)
_FAILURES: Final = (ApiException, QdrantException, grpc.RpcError)


def connect(url: str, api_key: str = "") -> QdrantClient:
    """A client of the server at *url*, whose port is the one for gRPC; nothing is sent yet."""
    return QdrantClient(
        url=url,
        grpc_port=urlsplit(url).port or PORT,
        prefer_grpc=True,
        api_key=api_key or None,
        timeout=WRITE_SECONDS,
        check_compatibility=False,  # it would ask over HTTP
        grpc_options={"grpc.keepalive_time_ms": 20_000, "grpc.keepalive_timeout_ms": 5_000},
    )


class ServerStore:
    """Every method blocks, may be called from several threads, and raises `Unavailable` for a server that is away."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        """See `prepare`."""
        self._client = client
        self._collection = collection

    def prepare(self, dimensions: int, *, shards: int = 1, replicas: int = 1) -> None:
        """Make the collection if it is not there; another process may do the same meanwhile."""
        with _failures():
            if not self._client.collection_exists(self._collection):
                self._make(dimensions, shards, replicas)
            known = self._client.get_collection(self._collection).payload_schema
            for field in _FIELDS.keys() - known.keys():
                self._client.create_payload_index(
                    self._collection, field, _FIELDS[field], wait=True, timeout=WRITE_SECONDS
                )

    def generation(self) -> str:
        """The random name that the collection got when it was made: a new one is to be filled from the first event."""
        # Of processes that come at once the first one's is taken.
        self._upsert(_MARK_ID, {"mark": uuid.uuid4().hex[:12]}, mode=models.UpdateMode.INSERT_ONLY)
        return str((self._retrieve([_MARK_ID])[0].payload or {})["mark"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find(self, entry_id: str) -> Entry | None:
        """See `EntryReader`."""
        if not payloads.is_point_id(entry_id):
            return None
        found = [r.payload for r in self._retrieve([entry_id]) if r.payload and r.payload.get("kind") == payloads.ENTRY]
        return payloads.entry_from(entry_id, found[0]) if found else None

    def nearest(self, scope: Scope, vector: Vector, *, least: float, limit: int) -> Sequence[Neighbour]:
        """See `EntryReader`. The graph may miss some."""
        with _failures():
            answer = self._client.query_points(
                self._collection,
                vector.tolist(),
                using=VECTOR,
                query_filter=_all([_is("scope", scope.key)]),
                limit=limit,
                score_threshold=least,
                timeout=READ_SECONDS,
            )
        return [Neighbour(payloads.entry_from(str(p.id), p.payload or {}), p.score) for p in answer.points]

    def count(self, tenant: str) -> int:
        """See `EntryReader`."""
        with _failures():
            mine = _all([_is("holder", tenant)])
            return self._client.count(self._collection, mine, exact=True, timeout=READ_SECONDS).count

    def count_by_tenant(self) -> Mapping[str, int]:
        """See `EntryReader`."""
        return self._count_by("holder")

    def put(self, entry: Entry, vector: Vector) -> None:
        """See `EntryKeeper`."""
        payload = payloads.entry_payload(entry) | {ETAG: _entry_tag(entry)}
        self._upsert(entry.id, payload, {VECTOR: vector.tolist()})

    def carry(self, held: Entry, carried: Entry) -> bool:
        """See `EntryKeeper`."""
        payload = payloads.sources_payload(carried) | {ETAG: _entry_tag(carried)}
        self._set(held.id, payload, _is(ETAG, _entry_tag(held)))
        return self._has_tag(held.id, _entry_tag(carried))

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """See `EntryKeeper`. What two processes add to one entry at the same moment may count once."""
        for record in self._retrieve(list(hits)):
            payload = record.payload or {}
            more = {"hits": payload["hits"] + hits[str(record.id)]}
            self._set(str(record.id), more, _is("answer_id", payload["answer_id"]))

    def drop(self, entry: Entry) -> None:
        """See `EntryKeeper`."""
        self._delete(_one(entry.id, _is("answer_id", entry.answer_id)))

    def of_tenant(self, tenant: str, document: str | None = None) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for record in self._scroll(_of_kind(payloads.ENTRY, tenant, document)):
            yield payloads.entry_from(str(record.id), record.payload or {})

    def of_other_releases(self, application: str, release: str) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for name in self._count_by("made_by").keys() - {payloads.release_name(application, release)}:
            for record in self._scroll(_all([_is("made_by", name)])):
                yield payloads.entry_from(str(record.id), record.payload or {})

    def expired(self, now: datetime, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        over = models.FieldCondition(key=payloads.EXPIRES, range=models.Range(lte=now.timestamp()))
        with _failures():
            records, _ = self._client.scroll(self._collection, _all([over]), limit, timeout=WRITE_SECONDS)
        return [payloads.entry_from(str(record.id), record.payload or {}) for record in records]

    def sample(self, tenant: str, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        with _failures():
            answer = self._client.query_points(
                self._collection,
                models.SampleQuery(sample=models.Sample.RANDOM),
                query_filter=_all([_is("holder", tenant)]),
                limit=limit,
                timeout=WRITE_SECONDS,
            )
        return [payloads.entry_from(str(point.id), point.payload or {}) for point in answer.points]

    def floors(self, tenant: str, documents: Sequence[str]) -> Floors:
        """See `FloorReader`."""
        ids = [payloads.floor_id(tenant, document) for document in dict.fromkeys(documents)]
        found = [payloads.floor_from(record.payload or {}) for record in self._retrieve(ids)]
        return {floor.document: floor for floor in found}

    def keep_floor(self, floor: Floor, *, instead_of: Floor | None = None) -> bool:
        """See `FloorKeeper`."""
        point_id, tag = payloads.floor_id(floor.tenant, floor.document), _floor_tag(floor)
        payload = payloads.floor_payload(floor) | {ETAG: tag}
        if instead_of is None:
            self._upsert(point_id, payload, mode=models.UpdateMode.INSERT_ONLY)
        else:
            was = _all([_is(ETAG, _floor_tag(instead_of))])
            self._upsert(point_id, payload, mode=models.UpdateMode.UPDATE_ONLY, only_if=was)
        return self._has_tag(point_id, tag)

    def add_notice(self, notice: Notice) -> None:
        """See `NoticeBox`."""
        self._upsert(notice.id, payloads.notice_payload(notice))

    def notices(self, tenant: str, document: str) -> Iterator[Notice]:
        """See `NoticeBox`."""
        for record in self._scroll(_of_kind(payloads.NOTICE, tenant, document)):
            yield payloads.notice_from(record.payload or {})

    def waiting(self, limit: int) -> Sequence[Notice]:
        """See `NoticeBox`."""
        kept = _all([_is("kind", payloads.NOTICE)])
        with _failures():
            records, _ = self._client.scroll(self._collection, kept, limit, timeout=WRITE_SECONDS)
        return [payloads.notice_from(record.payload or {}) for record in records]

    def remove_notice(self, notice_id: str) -> None:
        """See `NoticeBox`."""
        self._delete(_one(notice_id))

    def withdrawals(self, tenant: str, selections: Sequence[Selection]) -> Sequence[Withdrawal]:
        """See `WithdrawalReader`."""
        ids = [payloads.withdrawal_id(tenant, selection) for selection in dict.fromkeys(selections)]
        return [payloads.withdrawal_from(record.payload or {}) for record in self._retrieve(ids)]

    def keep_withdrawal(self, withdrawal: Withdrawal) -> None:
        """See `WithdrawalKeeper`."""
        point_id, at = payloads.withdrawal_id(withdrawal.tenant, withdrawal.selection), withdrawal.time.timestamp()
        payload = payloads.withdrawal_payload(withdrawal) | {AT: at}
        self._keep_latest(point_id, payload, at)

    def forget_withdrawals(self, before: datetime) -> None:
        """See `WithdrawalKeeper`."""
        made = models.FieldCondition(key=payloads.MADE, range=models.Range(lt=before.timestamp()))
        self._delete(_all([made]))

    def keep_addition(self, addition: Addition, vector: Vector | None) -> None:
        """See `AdditionKeeper`."""
        payload, at = payloads.addition_payload(addition), addition.time.timestamp()
        if vector is not None:
            self._upsert(payloads.addition_id(addition), payload, {VECTOR: vector.tolist()})
            return
        blank = payload | {"added_to": "", payloads.TOLD: None, AT: at}
        self._keep_latest(payloads.blank_id(addition.tenant), blank, at)

    def added_near(self, tenant: str, vector: Vector, since: datetime, *, least: float) -> Sequence[Addition]:
        """See `AdditionKeeper`. The graph may miss some."""
        told = models.FieldCondition(key=payloads.TOLD, range=models.Range(gte=since.timestamp()))
        near = [point.payload or {} for point in self._near([_is("added_to", tenant), told], vector, least)]
        blank = [record.payload or {} for record in self._retrieve([payloads.blank_id(tenant)])]
        return [payloads.addition_from(payload) for payload in (*near, *blank)]

    def count_additions(self, tenant: str) -> int:
        """See `AdditionKeeper`."""
        with _failures():
            mine = _all([_is("added_to", tenant)])
            return self._client.count(self._collection, mine, exact=True, timeout=WRITE_SECONDS).count

    def forget_additions(self, before: datetime, tenant: str | None = None) -> None:
        """See `AdditionKeeper`."""
        told = models.FieldCondition(key=payloads.TOLD, range=models.Range(lt=before.timestamp()))
        self._delete(_all([told] if tenant is None else [_is("added_to", tenant), told]))

    def unmarked_near(self, tenant: str, vector: Vector) -> Iterator[Entry]:
        """See `AdditionKeeper`. The graph may miss some."""
        for group, least in payloads.unmarked_groups(tenant):
            for point in self._near([_is("unmarked", group)], vector, least):
                entry = payloads.entry_from(str(point.id), point.payload or {})
                if point.score >= least_similarity(entry):
                    yield entry

    def mark(self, entry: Entry) -> None:
        """See `AdditionKeeper`."""
        self._set(entry.id, payloads.mark_payload(entry), _is("answer_id", entry.answer_id))

    def _near(
        self, conditions: Sequence[models.FieldCondition], vector: Vector, least: float
    ) -> Sequence[models.ScoredPoint]:
        """All of them: mostly there are few, and where the limit cuts some off it is asked for again."""
        limit = PAGE
        while True:
            with _failures():
                points = self._client.query_points(
                    self._collection,
                    vector.tolist(),
                    using=VECTOR,
                    query_filter=_all(conditions),
                    limit=limit,
                    score_threshold=least,
                    timeout=WRITE_SECONDS,
                ).points
            if len(points) < limit:
                return points
            limit *= 64

    def _count_by(self, field: str) -> dict[str, int]:
        with _failures():
            counts = self._client.facet(self._collection, field, limit=MOST_VALUES, exact=True, timeout=WRITE_SECONDS)
        return {str(hit.value): hit.count for hit in counts.hits}

    def _keep_latest(self, point_id: str, payload: payloads.Payload, at: float) -> None:
        earlier = _all([models.FieldCondition(key=AT, range=models.Range(lte=at))])
        self._upsert(point_id, payload, mode=models.UpdateMode.INSERT_ONLY)
        self._upsert(point_id, payload, mode=models.UpdateMode.UPDATE_ONLY, only_if=earlier)

    def _make(self, dimensions: int, shards: int, replicas: int) -> None:
        try:
            self._client.create_collection(
                self._collection,
                vectors_config={VECTOR: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                hnsw_config=_GRAPH,
                shard_number=shards,
                replication_factor=replicas,
                timeout=WRITE_SECONDS,
            )
        except _FAILURES:
            if not self._client.collection_exists(self._collection):  # else another process was faster
                raise

    def _upsert(
        self,
        point_id: str,
        payload: payloads.Payload,
        vector: dict[str, Any] | None = None,
        *,
        mode: models.UpdateMode = models.UpdateMode.UPSERT,
        only_if: models.Filter | None = None,
    ) -> None:
        point = models.PointStruct(id=point_id, vector=vector or {}, payload=payload)
        with _failures():
            _require_done(
                self._client.upsert(
                    self._collection,
                    [point],
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                    update_filter=only_if,
                    update_mode=mode,
                    timeout=WRITE_SECONDS,
                )
            )

    def _set(self, point_id: str, payload: payloads.Payload, condition: models.FieldCondition) -> None:
        with _failures():
            _require_done(
                self._client.set_payload(
                    self._collection,
                    payload,
                    _one(point_id, condition),
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                    timeout=WRITE_SECONDS,
                )
            )

    def _delete(self, which: models.Filter) -> None:
        with _failures():
            _require_done(
                self._client.delete(
                    self._collection,
                    models.FilterSelector(filter=which),
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                    timeout=WRITE_SECONDS,
                )
            )

    def _has_tag(self, point_id: str, tag: str) -> bool:
        return any((record.payload or {}).get(ETAG) == tag for record in self._retrieve([point_id]))

    def _retrieve(self, ids: Sequence[str]) -> list[models.Record]:
        if not ids:
            return []
        with _failures():
            return self._client.retrieve(self._collection, list(ids), with_payload=True, timeout=READ_SECONDS)

    def _scroll(self, wanted: models.Filter) -> Iterator[models.Record]:
        offset = None
        while True:
            with _failures():
                records, offset = self._client.scroll(
                    self._collection, wanted, PAGE, offset=offset, with_payload=True, timeout=WRITE_SECONDS
                )
            yield from records
            if offset is None:
                return


@contextmanager
def _failures() -> Iterator[None]:
    """The client's failures as ours; where the server stands is told to the log only."""
    try:
        yield
    except _FAILURES as error:
        log.error("store_failed", reason=str(error))
        raise _unusable() from error


def _require_done(update: models.UpdateResult) -> None:
    """The server takes no longer than it was told to, and then says so without failing."""
    if update.status is not models.UpdateStatus.COMPLETED:
        log.error("store_failed", reason=f"an update is {update.status}")
        raise _unusable()


def _unusable() -> Unavailable:
    return Unavailable("the cache's store cannot be used", retry_after=RETRY_SECONDS)


def _entry_tag(entry: Entry) -> str:
    return _hash([entry.answer_id, payloads.sources_payload(entry)])


def _floor_tag(floor: Floor) -> str:
    return _hash(payloads.floor_payload(floor))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _of_kind(kind: str, tenant: str, document: str | None) -> models.Filter:
    conditions = [_is("kind", kind), _is("tenant", tenant)]
    return _all(conditions if document is None else [*conditions, _is("documents", document)])


def _one(point_id: str, *conditions: models.FieldCondition) -> models.Filter:
    return models.Filter(must=[models.HasIdCondition(has_id=[point_id]), *conditions])


def _all(conditions: Sequence[models.FieldCondition]) -> models.Filter:
    return models.Filter(must=list(conditions))


def _is(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))
