"""The fakes of the ports. `MemoryStore` passes the same contract suite as the engine."""

import asyncio
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from random import Random
from typing import TypeVar

import numpy as np

from plumbline_cache.domain.addition import Addition, least_similarity
from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector
from plumbline_cache.domain.freshness import Floor, Floors, Notice
from plumbline_cache.domain.withdrawal import Selection, Withdrawal

T = TypeVar("T")


class MemoryStore:
    """Forgets everything when it goes."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry, Vector]] = {}
        self._floors: dict[tuple[str, str], Floor] = {}
        self._notices: dict[str, Notice] = {}
        self._withdrawals: dict[tuple[str, Selection], Withdrawal] = {}
        self._additions: dict[tuple[str, str, int, str], tuple[Addition, Vector]] = {}
        self._blanks: dict[str, Addition] = {}
        self._random = Random(7)

    def find(self, entry_id: str) -> Entry | None:
        """See `EntryReader`."""
        kept = self._entries.get(entry_id)
        return kept[0] if kept is not None else None

    def nearest(self, scope: Scope, vector: Vector, *, least: float, limit: int) -> Sequence[Neighbour]:
        """See `EntryReader`."""
        mine = [(entry, kept) for entry, kept in self._entries.values() if entry.scope.key == scope.key]
        near = [Neighbour(entry, float(kept @ vector)) for entry, kept in mine if float(kept @ vector) >= least]
        return sorted(near, key=lambda neighbour: -neighbour.similarity)[:limit]

    def count(self, tenant: str) -> int:
        """See `EntryReader`."""
        return sum(entry.scope.tenant == tenant for entry, _ in self._entries.values())

    def count_by_tenant(self) -> Mapping[str, int]:
        """See `EntryReader`."""
        return Counter(entry.scope.tenant for entry, _ in self._entries.values())

    def put(self, entry: Entry, vector: Vector) -> None:
        """See `EntryKeeper`."""
        self._entries[entry.id] = (entry, vector)

    def carry(self, held: Entry, carried: Entry) -> bool:
        """See `EntryKeeper`."""
        kept, vector = self._entries.get(held.id, (None, None))
        if kept is None or vector is None or (kept.answer_id, kept.sources) != (held.answer_id, held.sources):
            return False
        self._entries[held.id] = (replace(kept, sources=carried.sources), vector)
        return True

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """See `EntryKeeper`."""
        for entry_id in hits.keys() & self._entries.keys():
            kept, vector = self._entries[entry_id]
            self._entries[entry_id] = (replace(kept, hits=kept.hits + hits[entry_id]), vector)

    def drop(self, entry: Entry) -> None:
        """See `EntryKeeper`."""
        kept = self.find(entry.id)
        if kept is not None and kept.answer_id == entry.answer_id:
            del self._entries[entry.id]

    def of_tenant(self, tenant: str, document: str | None = None) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for entry, _ in list(self._entries.values()):
            if entry.scope.tenant == tenant and (document is None or document in entry.documents):
                yield entry

    def of_other_releases(self, application: str, release: str) -> Iterator[Entry]:
        """See `EntryKeeper`."""
        for entry, _ in list(self._entries.values()):
            if (entry.scope.application, entry.scope.release) != (application, release):
                yield entry

    def expired(self, now: datetime, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        over = (entry for entry, _ in list(self._entries.values()) if entry.expire_time <= now)
        return list(islice(over, limit))

    def sample(self, tenant: str, limit: int) -> Sequence[Entry]:
        """See `EntryKeeper`."""
        entries = list(self.of_tenant(tenant))
        return self._random.sample(entries, min(limit, len(entries)))

    def floors(self, tenant: str, documents: Sequence[str]) -> Floors:
        """See `FloorReader`."""
        keys = {document: (tenant, document) for document in documents}
        return {document: self._floors[key] for document, key in keys.items() if key in self._floors}

    def keep_floor(self, floor: Floor, *, instead_of: Floor | None = None) -> bool:
        """See `FloorKeeper`."""
        key = (floor.tenant, floor.document)
        if self._floors.get(key) != instead_of:
            return False
        self._floors[key] = floor
        return True

    def add_notice(self, notice: Notice) -> None:
        """See `NoticeBox`."""
        self._notices[notice.id] = notice

    def notices(self, tenant: str, document: str) -> Iterator[Notice]:
        """See `NoticeBox`."""
        yield from [n for n in self._notices.values() if (n.tenant, n.document) == (tenant, document)]

    def waiting(self, limit: int) -> Sequence[Notice]:
        """See `NoticeBox`."""
        return list(islice(self._notices.values(), limit))

    def remove_notice(self, notice_id: str) -> None:
        """See `NoticeBox`."""
        self._notices.pop(notice_id, None)

    def withdrawals(self, tenant: str, selections: Sequence[Selection]) -> Sequence[Withdrawal]:
        """See `WithdrawalReader`."""
        kept = (self._withdrawals.get((tenant, selection)) for selection in dict.fromkeys(selections))
        return [withdrawal for withdrawal in kept if withdrawal is not None]

    def keep_withdrawal(self, withdrawal: Withdrawal) -> None:
        """See `WithdrawalKeeper`."""
        key = (withdrawal.tenant, withdrawal.selection)
        self._withdrawals[key] = max(self._withdrawals.get(key, withdrawal), withdrawal, key=lambda one: one.time)

    def forget_withdrawals(self, before: datetime) -> None:
        """See `WithdrawalKeeper`."""
        self._withdrawals = {key: one for key, one in self._withdrawals.items() if one.time >= before}

    def keep_addition(self, addition: Addition, vector: Vector | None) -> None:
        """See `AdditionKeeper`."""
        if vector is not None:
            key = (addition.tenant, addition.document, addition.version, addition.passage)
            self._additions[key] = (addition, vector)
        elif (known := self._blanks.get(addition.tenant)) is None or known.time < addition.time:
            self._blanks[addition.tenant] = addition

    def added_near(self, tenant: str, vector: Vector, since: datetime, *, least: float) -> Sequence[Addition]:
        """See `AdditionKeeper`."""
        mine = [(one, kept) for one, kept in self._additions.values() if one.tenant == tenant and one.time >= since]
        near = [one for one, kept in mine if float(kept @ vector) >= least]
        return [*near, self._blanks[tenant]] if tenant in self._blanks else near

    def count_additions(self, tenant: str) -> int:
        """See `AdditionKeeper`."""
        return sum(addition.tenant == tenant for addition, _ in self._additions.values())

    def forget_additions(self, before: datetime, tenant: str | None = None) -> None:
        """See `AdditionKeeper`."""
        for key, (addition, _) in list(self._additions.items()):
            if addition.time < before and tenant in (None, addition.tenant):
                del self._additions[key]

    def unmarked_near(self, tenant: str, vector: Vector) -> Iterator[Entry]:
        """See `AdditionKeeper`."""
        for entry, kept in list(self._entries.values()):
            unmarked = entry.scope.tenant == tenant and entry.mark is None
            if unmarked and float(kept @ vector) >= least_similarity(entry):
                yield entry

    def mark(self, entry: Entry) -> None:
        """See `AdditionKeeper`."""
        kept, vector = self._entries.get(entry.id, (entry, None))
        if vector is not None and kept.answer_id == entry.answer_id:
            self._entries[entry.id] = (replace(kept, mark=entry.mark), vector)


class WordEncoder:
    """`QuestionEncoder` whose vectors are near when the words are the same."""

    id = "words@1"
    dimensions = 384

    async def encode(self, question: str, *, patience: float = 1.0) -> Vector:
        """See `QuestionEncoder`."""
        vector = np.zeros(self.dimensions, dtype=np.float32)
        for word in re.findall(r"\w+", question.casefold()):
            vector[zlib.crc32(word.encode()) % self.dimensions] += 1
        return vector / max(float(np.linalg.norm(vector)), 1.0)


class InlineTurns:
    """`WriterTurns` on the event loop: after others had theirs, and to the end."""

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """See `Turns`."""
        await asyncio.sleep(0)
        return work()

    async def run_first(self, work: Callable[[], T]) -> T:
        """See `WriterTurns`."""
        return await self.run(work)


class MemoryWithdrawals:
    """`WithdrawalLog` that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Withdrawal] = []

    async def append(self, withdrawal: Withdrawal) -> None:
        """See `WithdrawalLog`."""
        self.told.append(withdrawal)


class MemoryAnnouncer:
    """`Announcer` that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Notice] = []

    async def entry_invalidated(self, notice: Notice) -> None:
        """See `Announcer`."""
        self.told.append(notice)


@dataclass
class Ready:
    """`Readiness` that is set by hand."""

    caught_up: bool = True
