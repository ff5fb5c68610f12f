"""`Store` on one embedded shard of Qdrant's engine."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from qdrant_edge import (
    FacetRequest,
    FieldCondition,
    Filter,
    MatchAny,
    MatchValue,
    Point,
    Query,
    QueryRequest,
    RangeFloat,
    Record,
    Sample,
    ScoredPoint,
    ScrollRequest,
    UpdateOperation,
)

from plumbline_cache.adapters import payloads
from plumbline_cache.adapters.cells import LANDMARKS, Cells
from plumbline_cache.adapters.shard import FLUSH_EVERY, VECTOR, Shard
from plumbline_cache.domain.addition import Addition, least_similarity
from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector
from plumbline_cache.domain.freshness import Floor, Floors, Notice
from plumbline_cache.domain.withdrawal import Selection, Withdrawal

if TYPE_CHECKING:
    from qdrant_edge import ConditionType  # exists in the stubs only

PAGE: Final = 128
MOST_VALUES: Final = 1_000_000


LAID_FROM: Final = 8_192
"""Entries that are read one by one in about a millisecond; where there are more, cells are laid."""

STEP: Final = 64
"""Entries that get their cell with each one put, until all have one."""


class QdrantStore:
    """Reads may come from several threads; writes come one at a time."""

    def __init__(self, shard: Shard, landmarks: Path, *, laid_from: int = LAID_FROM) -> None:
        """*landmarks* is the file that says where the shard's cells lie, once it has any."""
        self._shard = shard
        self._landmarks = landmarks
        self._laid_from = laid_from
        self._put = shard.count(_equals("kind", payloads.ENTRY))
        self._cells = Cells.load(landmarks)
        self._all_in_cells = self._cells is not None and not self._without_cell(1)

    @classmethod
    def open(
        cls, folder: Path, dimensions: int, *, flush_every: int = FLUSH_EVERY, laid_from: int = LAID_FROM
    ) -> "QdrantStore":
        """The store in *folder*, made if there is none. Raises what the engine raises if it cannot be read."""
        shard = Shard.open(folder, dimensions, flush_every=flush_every)
        return cls(shard, folder.with_suffix(".npy"), laid_from=laid_from)

    def close(self) -> None:
        """Write everything to its place. Nothing may be called afterwards."""
        self._shard.close()

    def find(self, entry_id: str) -> Entry | None:
        """See `EntryReader`."""
        if not payloads.is_point_id(entry_id):
            return None
        records = [r for r in self._shard.retrieve([entry_id]) if _payload(r)["kind"] == payloads.ENTRY]
        return payloads.entry_from(entry_id, _payload(records[0])) if records else None

    def nearest(self, scope: Scope, vector: Vector, *, least: float, limit: int) -> Sequence[Neighbour]:
        """See `EntryReader`."""
        request = QueryRequest(
            limit=limit,
            query=Query.Nearest(vector.tolist(), using=VECTOR),
            filter=Filter(must=[self._around(scope, vector)]),
            score_threshold=least,
            with_payload=True,
        )
        points = self._shard.query(request)
        return [Neighbour(payloads.entry_from(str(p.id), p.payload or {}), p.score) for p in points]

    def count(self, tenant: str) -> int:
        """See `EntryReader`."""
        return self._shard.count(_equals("holder", tenant))

    def count_by_tenant(self) -> Mapping[str, int]:
        """See `EntryReader`."""
        return self._count_by("holder")

    def put(self, entry: Entry, vector: Vector) -> None:
        """See `EntryKeeper`."""
        payload = payloads.entry_payload(entry)
        if self._cells is not None:
            payload |= payloads.cell_payload(entry.scope.key, self._cells.of(vector))
        self._upsert(Point(entry.id, {VECTOR: vector.tolist()}, payload))
        self._put += 1
        self._lay_cells()

    def carry(self, held: Entry, carried: Entry) -> bool:
        """See `EntryKeeper`."""
        kept = self.find(held.id)
        if kept is None or (kept.answer_id, kept.sources) != (held.answer_id, held.sources):
            return False
        self._shard.update(UpdateOperation.set_payload([held.id], payloads.sources_payload(carried)))
        return True

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """See `EntryKeeper`."""
        for record in self._shard.retrieve(list(hits)):
            more = {"hits": _payload(record)["hits"] + hits[str(record.id)]}
            self._shard.update(UpdateOperation.set_payload([str(record.id)], more))

    def drop(self, entry: Entry) -> None:
        """See `EntryKeeper`."""
        kept = self.find(entry.id)
        if kept is not None and kept.answer_id == entry.answer_id:
            self._shard.update(UpdateOperation.delete_points([entry.id]))

    def of_tenant(self, tenant: str, document: str | None = None) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for record in self._all(_all_of(payloads.ENTRY, tenant, document)):
            yield payloads.entry_from(str(record.id), _payload(record))

    def of_other_releases(self, application: str, release: str) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for name in self._count_by("made_by").keys() - {payloads.release_name(application, release)}:
            for record in self._all([_equals("made_by", name)]):
                yield payloads.entry_from(str(record.id), _payload(record))

    def expired(self, now: datetime, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        over = FieldCondition(payloads.EXPIRES, range=RangeFloat(lte=now.timestamp()))
        request = ScrollRequest(limit=limit, filter=Filter(must=[over]), with_payload=True)
        return [payloads.entry_from(str(record.id), _payload(record)) for record in self._shard.scroll(request)[0]]

    def sample(self, tenant: str, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        mine = Filter(must=_all_of(payloads.ENTRY, tenant))
        points = self._shard.query(QueryRequest(limit=limit, query=Sample.Random, filter=mine, with_payload=True))
        return [payloads.entry_from(str(point.id), point.payload or {}) for point in points]

    def floors(self, tenant: str, documents: Sequence[str]) -> Floors:
        """See `FloorReader`."""
        ids = [payloads.floor_id(tenant, document) for document in dict.fromkeys(documents)]
        found = [payloads.floor_from(_payload(record)) for record in self._shard.retrieve(ids)]
        return {floor.document: floor for floor in found}

    def keep_floor(self, floor: Floor, *, instead_of: Floor | None = None) -> bool:
        """See `FloorKeeper`."""
        if self.floors(floor.tenant, [floor.document]).get(floor.document) != instead_of:
            return False
        self._upsert(Point(payloads.floor_id(floor.tenant, floor.document), {}, payloads.floor_payload(floor)))
        return True

    def add_notice(self, notice: Notice) -> None:
        """See `NoticeBox`."""
        self._upsert(Point(notice.id, {}, payloads.notice_payload(notice)))

    def notices(self, tenant: str, document: str) -> Iterator[Notice]:
        """See `NoticeBox`."""
        for record in self._all(_all_of(payloads.NOTICE, tenant, document)):
            yield payloads.notice_from(_payload(record))

    def waiting(self, limit: int) -> Sequence[Notice]:
        """See `NoticeBox`."""
        kept = Filter(must=[_equals("kind", payloads.NOTICE)])
        records, _ = self._shard.scroll(ScrollRequest(limit=limit, filter=kept, with_payload=True))
        return [payloads.notice_from(_payload(record)) for record in records]

    def remove_notice(self, notice_id: str) -> None:
        """See `NoticeBox`."""
        self._shard.update(UpdateOperation.delete_points([notice_id]))

    def withdrawals(self, tenant: str, selections: Sequence[Selection]) -> Sequence[Withdrawal]:
        """See `WithdrawalReader`."""
        ids = [payloads.withdrawal_id(tenant, selection) for selection in dict.fromkeys(selections)]
        return [payloads.withdrawal_from(_payload(record)) for record in self._shard.retrieve(ids)]

    def keep_withdrawal(self, withdrawal: Withdrawal) -> None:
        """See `WithdrawalKeeper`."""
        known = self.withdrawals(withdrawal.tenant, [withdrawal.selection])
        if any(one.time > withdrawal.time for one in known):
            return
        point_id = payloads.withdrawal_id(withdrawal.tenant, withdrawal.selection)
        self._upsert(Point(point_id, {}, payloads.withdrawal_payload(withdrawal)))

    def forget_withdrawals(self, before: datetime) -> None:
        """See `WithdrawalKeeper`."""
        made = FieldCondition(payloads.MADE, range=RangeFloat(lt=before.timestamp()))
        self._shard.update(UpdateOperation.delete_points_by_filter(Filter(must=[made])))

    def keep_addition(self, addition: Addition, vector: Vector | None) -> None:
        """See `AdditionKeeper`."""
        payload = payloads.addition_payload(addition)
        if vector is not None:
            self._upsert(Point(payloads.addition_id(addition), {VECTOR: vector.tolist()}, payload))
        elif all(known.time < addition.time for known in self._blank(addition.tenant)):
            self._upsert(Point(payloads.blank_id(addition.tenant), {}, payload | {"added_to": "", payloads.TOLD: None}))

    def added_near(self, tenant: str, vector: Vector, since: datetime, *, least: float) -> Sequence[Addition]:
        """See `AdditionKeeper`."""
        told = FieldCondition(payloads.TOLD, range=RangeFloat(gte=since.timestamp()))
        points = self._near([_equals("added_to", tenant), told], vector, least)
        return [*(payloads.addition_from(point.payload or {}) for point in points), *self._blank(tenant)]

    def count_additions(self, tenant: str) -> int:
        """See `AdditionKeeper`."""
        return self._shard.count(_equals("added_to", tenant))

    def forget_additions(self, before: datetime, tenant: str | None = None) -> None:
        """See `AdditionKeeper`."""
        told = FieldCondition(payloads.TOLD, range=RangeFloat(lt=before.timestamp()))
        conditions: list[ConditionType] = [told] if tenant is None else [_equals("added_to", tenant), told]
        self._shard.update(UpdateOperation.delete_points_by_filter(Filter(must=conditions)))

    def unmarked_near(self, tenant: str, vector: Vector) -> Iterator[Entry]:
        """See `AdditionKeeper`."""
        for group, least in payloads.unmarked_groups(tenant):
            for point in self._near([_equals("unmarked", group)], vector, least):
                entry = payloads.entry_from(str(point.id), point.payload or {})
                if point.score >= least_similarity(entry):
                    yield entry

    def mark(self, entry: Entry) -> None:
        """See `AdditionKeeper`."""
        kept = self.find(entry.id)
        if kept is not None and kept.answer_id == entry.answer_id:
            self._shard.update(UpdateOperation.set_payload([entry.id], payloads.mark_payload(entry)))

    def _blank(self, tenant: str) -> Sequence[Addition]:
        return [
            payloads.addition_from(_payload(record)) for record in self._shard.retrieve([payloads.blank_id(tenant)])
        ]

    def _near(self, conditions: "list[ConditionType]", vector: Vector, least: float) -> Sequence[ScoredPoint]:
        """All of them: mostly there are few, and where the limit cuts some off it is asked for again."""
        limit = PAGE
        while True:
            request = QueryRequest(
                limit=limit,
                query=Query.Nearest(vector.tolist(), using=VECTOR),
                filter=Filter(must=conditions),
                score_threshold=least,
                with_payload=True,
            )
            points = self._shard.query(request)
            if len(points) < limit:
                return points
            limit *= 64

    def _around(self, scope: Scope, vector: Vector) -> FieldCondition:
        """Where the nearest of the scope are: everywhere in it until all have their cell."""
        if self._cells is None or not self._all_in_cells:
            return _equals("scope", scope.key)
        return FieldCondition(
            "cell", match=MatchAny([payloads.cell_name(scope.key, cell) for cell in self._cells.near(vector)])
        )

    def _lay_cells(self) -> None:
        """A step with each entry that is put, so that no lookup waits for all of them."""
        if self._cells is None and self._put >= self._laid_from:
            cells = Cells.around(self._sample())
            cells.save(self._landmarks)  # before any entry is in one
            self._cells = cells
        if self._cells is not None and not self._all_in_cells:
            self._all_in_cells = not self._settle(self._cells, self._without_cell(STEP))

    def _sample(self) -> Vector:
        """Questions that are there. Ids are hashes, so the first ones are as good as any."""
        found, page = list[Vector](), None
        while len(found) < LANDMARKS and (page is not None or not found):
            request = ScrollRequest(
                offset=page, limit=PAGE, filter=Filter(must=[_equals("kind", payloads.ENTRY)]), with_vector=True
            )
            records, page = self._shard.scroll(request)
            found += [_vector(record) for record in records]
        return np.stack(found[:LANDMARKS])

    def _without_cell(self, limit: int) -> list[Record]:
        missing = Filter(must=[_equals("cell", payloads.NO_CELL)])
        records, _ = self._shard.scroll(
            ScrollRequest(limit=limit, filter=missing, with_payload=["scope"], with_vector=True)
        )
        return records

    def _settle(self, cells: Cells, records: Sequence[Record]) -> bool:
        """Give each its cell. Whether there was any."""
        for record in records:
            payload = payloads.cell_payload(_payload(record)["scope"], cells.of(_vector(record)))
            self._shard.update(UpdateOperation.set_payload([record.id], payload))
        return bool(records)

    def _count_by(self, field: str) -> dict[str, int]:
        """How many points have each value of an indexed *field*."""
        # Without a filter the estimate is exact and takes microseconds; counting holds the interpreter for a tenth of a
        # second among 100,000 entries.
        counts = self._shard.facet(FacetRequest(field, limit=MOST_VALUES, exact=False))
        return {str(hit.value): hit.count for hit in counts.hits}

    def _upsert(self, point: Point) -> None:
        self._shard.update(UpdateOperation.upsert_points([point]))

    def _all(self, conditions: "list[ConditionType]") -> Iterator[Record]:
        page: str | None = None
        while True:
            records, following = self._scroll(conditions, page)
            yield from records
            if following is None:
                return
            page = following

    def _scroll(self, conditions: "list[ConditionType]", page: str | None) -> tuple[list[Record], str | None]:
        request = ScrollRequest(offset=page, limit=PAGE, filter=Filter(must=conditions), with_payload=True)
        records, following = self._shard.scroll(request)
        return records, None if following is None else str(following)


def _all_of(kind: str, tenant: str, document: str | None = None) -> "list[ConditionType]":
    conditions: list[ConditionType] = [_equals("kind", kind), _equals("tenant", tenant)]
    return conditions if document is None else [*conditions, _equals("documents", document)]


def _equals(field: str, value: str) -> FieldCondition:
    return FieldCondition(field, match=MatchValue(value))


def _payload(record: Record) -> payloads.Payload:
    return record.payload or {}


def _vector(record: Record) -> Vector:
    vectors = record.vector
    return np.asarray(vectors[VECTOR] if isinstance(vectors, dict) else vectors, np.float32)
