"""When an entry is fresh: what the cache has heard of each document, compared with what an answer rests on.

Changes may come twice, late or out of order. An entry is served only if every source stands at the newest
version heard of, so whatever was not heard yet makes it wait, never serve.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from plumbline_cache.domain.entry import Entry, Source
from plumbline_cache.domain.withdrawal import Withdrawal
from plumbline_kit.errors import Invalid

NOTHING_HEARD: Final = -1

MAX_KEPT_CHANGES: Final = 32
"""How many changes entries wait for a missing one before they are given up."""

_NAMESPACE: Final = uuid.UUID("5f1c7e0a-2a58-5d1e-8f0c-7a6d9f3b1e42")


@dataclass(frozen=True, slots=True)
class Change:
    """A document went from one version to another."""

    tenant: str
    document: str
    old_version: int
    new_version: int
    deleted: bool
    kept: frozenset[str]
    """Hashes of the passages that both versions hold. Any other is gone, or was cut by another index's rule."""

    def __post_init__(self) -> None:
        if self.new_version <= self.old_version:
            raise Invalid(f"a change from version {self.old_version} to {self.new_version} goes back")

    def drops(self, source: Source) -> bool:
        """Whether the change took away what *source* stands on. A later version may hold it again."""
        same = source.document == self.document and source.version < self.new_version
        return same and (self.deleted or source.passage not in self.kept)


@dataclass(frozen=True, slots=True)
class Floor:
    """The newest version heard of a document, and the changes that entries still wait to be settled by."""

    tenant: str
    document: str
    version: int = NOTHING_HEARD
    deleted: bool = False
    changes: tuple[Change, ...] = ()

    def after(self, change: Change) -> "Floor":
        """The floor once *change* was heard: never lower than before."""
        changes = self.changes if change in self.changes else (*self.changes, change)
        if change.new_version <= self.version:
            return replace(self, changes=changes)
        return replace(self, version=change.new_version, deleted=change.deleted, changes=changes)

    def settled(self) -> "Floor":
        """The floor once no entry waits: the changes have done their work."""
        return replace(self, changes=())

    def is_under(self, source: Source) -> bool:
        """Whether *source* stands at the newest version heard of, or above."""
        return source.version > self.version or (source.version == self.version and not self.deleted)

    def cause_of_drop(self, entry: Entry) -> Change | None:
        """The first change that took a passage of *entry* away, or the last one if it waited too long for others."""
        drops = [change for change in self.changes if any(map(change.drops, entry.sources))]
        if drops:
            return min(drops, key=_new_version)
        given_up = len(self.changes) > MAX_KEPT_CHANGES and not is_fresh(self.carry(entry), {self.document: self})
        return max(self.changes, key=_new_version) if given_up else None

    def carry(self, entry: Entry) -> Entry:
        """*entry* with each source of this document at the newest version an unbroken row of changes leads to."""
        steps = {change.old_version: change.new_version for change in sorted(self.changes, key=_new_version)}
        return replace(entry, sources=tuple(self._carry(source, steps) for source in entry.sources))

    def _carry(self, source: Source, steps: Mapping[int, int]) -> Source:
        version = source.version
        while source.document == self.document and version in steps:
            version = steps[version]
        return replace(source, version=version)


Floors = Mapping[str, Floor]
"""By document, of one tenant; a document nothing was heard of is absent."""


class Cause(Enum):
    """Why an entry was dropped."""

    SOURCE_CHANGED = "source_changed"
    SOURCE_DELETED = "source_deleted"
    BY_HAND = "by_hand"
    EXPIRED = "expired"
    EVICTED = "evicted"
    RELEASE = "release"
    """Another release is active."""
    ERASED = "erased"
    """A document that it rests on was erased."""
    AUDITED = "audited"
    """An audit found another answer to the very same question."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An entry was dropped. Kept until the event log has it."""

    entry_id: str
    tenant: str
    application: str
    release: str
    question: str
    """Empty when erased."""
    answer_id: str
    cause: Cause
    document: str
    """That changed or was erased; empty where none is the cause."""
    version: int
    """The version that dropped it; -1 where none did."""
    time: datetime
    withdrawal: str = ""
    """The id of the withdrawal that dropped it; empty for any other cause."""

    @property
    def id(self) -> str:
        """The same for every telling of the same fact, by whichever replica."""
        cause = self.document or self.cause.value
        return str(uuid.uuid5(_NAMESPACE, f"{self.entry_id}/{self.answer_id}/{cause}/{self.version}"))


def is_fresh(entry: Entry, floors: Floors) -> bool:
    """Whether every source stands at the newest version heard of."""
    return all(source.document not in floors or floors[source.document].is_under(source) for source in entry.sources)


def is_orphaned(entry: Entry, floors: Floors) -> bool:
    """Whether *entry* stands below a floor whose changes have done their work: no change comes to settle it."""
    floors_above = (floor for floor in floors.values() if not is_fresh(entry, {floor.document: floor}))
    return any(not floor.changes for floor in floors_above)


def cause_of_drop(entry: Entry, floors: Floors) -> Change | None:
    """The first change that took a source of *entry* away, if one did."""
    drops = (floor.cause_of_drop(entry) for floor in floors.values())
    return next((change for change in drops if change is not None), None)


def dropped_by(entry: Entry, change: Change, time: datetime) -> Notice:
    """That *change* dropped *entry*."""
    cause = Cause.SOURCE_DELETED if change.deleted else Cause.SOURCE_CHANGED
    return _notice(entry, cause, change.document, change.new_version, time)


def withdrawn(entry: Entry, withdrawal: Withdrawal, time: datetime) -> Notice:
    """That *withdrawal* dropped *entry*."""
    if withdrawal.erases:
        erased = _notice(entry, Cause.ERASED, withdrawal.selection.name, -1, time)
        return replace(erased, question="", withdrawal=withdrawal.id)
    cause = Cause.AUDITED if withdrawal.audited else Cause.BY_HAND
    return replace(dropped(entry, cause, time), withdrawal=withdrawal.id)


def dropped(entry: Entry, cause: Cause, time: datetime) -> Notice:
    """That *entry* was dropped by a *cause* that is no document's."""
    return _notice(entry, cause, "", -1, time)


def _new_version(change: Change) -> int:
    return change.new_version


def _notice(entry: Entry, cause: Cause, document: str, version: int, time: datetime) -> Notice:
    scope = entry.scope
    return Notice(
        entry_id=entry.id,
        tenant=scope.tenant,
        application=scope.application,
        release=scope.release,
        question=entry.question,
        answer_id=entry.answer_id,
        cause=cause,
        document=document,
        version=version,
        time=time,
    )
