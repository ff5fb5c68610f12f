"""Drop entries whose sources changed, and say of every drop that it happened."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import islice
from typing import Final

import structlog

from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.freshness import Change, Floor, Notice, dropped_by, is_fresh
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.ports import Announcer, NoticeBox, Store, Turns, WriterTurns
from plumbline_kit.clock import Clock

log = structlog.get_logger()

TOLD_AT_ONCE: Final = 128


@dataclass(frozen=True)
class AnnounceDrops:
    """Tells of dropped entries until every notice is with the event log."""

    notices: NoticeBox
    announcer: Announcer
    writer: Turns

    async def __call__(self, tenant: str, document: str) -> None:
        """Raises `Unavailable`; what was not told is kept, and the next call tells it."""
        while waiting := await self.writer.run(partial(self._next, tenant, document)):
            await self._tell(waiting)

    async def rest(self) -> None:
        """The same for every notice that waits, whatever its cause and whoever's it is."""
        while waiting := await self.writer.run(partial(self.notices.waiting, TOLD_AT_ONCE)):
            await self._tell(waiting)

    def _next(self, tenant: str, document: str) -> Sequence[Notice]:
        return list(islice(self.notices.notices(tenant, document), TOLD_AT_ONCE))

    async def _tell(self, notices: Sequence[Notice]) -> None:
        outcomes = await asyncio.gather(*map(self.announcer.entry_invalidated, notices), return_exceptions=True)
        told = [notice for notice, failure in zip(notices, outcomes, strict=True) if failure is None]
        await self.writer.run(partial(self._remove, told))
        if failures := [failure for failure in outcomes if failure is not None]:
            raise failures[0]

    def _remove(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            self.notices.remove_notice(notice.id)


@dataclass(frozen=True)
class AnnounceRest:
    """Tells of what a kill or a log that was away left untold: nothing that is heard again would."""

    announce: AnnounceDrops

    async def __call__(self) -> None:
        """Raises `Unavailable`; the next call tells what is left."""
        await self.announce.rest()


class _Fate(Enum):
    """What a change does to an entry of its document."""

    DROPPED = "dropped"
    CARRIED = "carried"
    """Its passages survive."""
    WAITS = "waiting"
    """An earlier change was not heard of yet: not served until it is."""


@dataclass(frozen=True)
class FollowChange:
    """Idempotent, and safe to stop anywhere: hearing the change again finishes what is left.

    The floor is raised first: from there on nothing stale is served, whatever happens. Changes stay with the
    floor until no entry waits to be settled by them. A notice is kept before its entry goes, and goes when
    the event log has it.
    """

    store: Store
    announce: AnnounceDrops
    writer: WriterTurns
    tallies: Tallies
    clock: Clock

    async def __call__(self, change: Change) -> None:
        """Return once every entry is settled and every drop announced. Raises `Unavailable`."""
        await self.writer.run_first(partial(self._settle, change))
        await self.announce(change.tenant, change.document)

    def _settle(self, change: Change) -> None:
        """One turn of the writer: no answer is admitted here meanwhile."""
        floor = self._raise_floor(change)
        fates = Counter(self._settle_entry(entry, floor) for entry in self._behind(floor))
        if not fates[_Fate.WAITS]:
            self.store.keep_floor(floor.settled(), instead_of=floor)  # else another change has raised it since
        log.info("change_followed", **_fields(change), **{fate.value: fates[fate] for fate in _Fate})

    def _raise_floor(self, change: Change) -> Floor:
        while True:
            held = self.store.floors(change.tenant, [change.document]).get(change.document)
            floor = (held or Floor(change.tenant, change.document)).after(change)
            if floor == held or self.store.keep_floor(floor, instead_of=held):
                return floor

    def _behind(self, floor: Floor) -> Iterator[Entry]:
        entries = self.store.of_tenant(floor.tenant, floor.document)
        return (entry for entry in entries if not is_fresh(entry, {floor.document: floor}))

    def _settle_entry(self, entry: Entry, floor: Floor) -> _Fate:
        if (cause := floor.cause_of_drop(entry)) is not None:
            notice = dropped_by(entry, cause, self.clock.now())
            self.store.add_notice(notice)
            self.store.drop(entry)
            self.tallies.add(entry.scope, notice.cause)
            return _Fate.DROPPED
        carried = floor.carry(entry)
        if carried != entry and not self.store.carry(entry, carried):
            return self._settle_again(entry, floor)
        return _Fate.CARRIED if is_fresh(carried, {floor.document: floor}) else _Fate.WAITS

    def _settle_again(self, entry: Entry, floor: Floor) -> _Fate:
        """Somebody else changed it: a change of another document that it rests on, say."""
        found = self.store.find(entry.id)
        if found is None or is_fresh(found, {floor.document: floor}):
            return _Fate.CARRIED
        return self._settle_entry(found, floor)


def _fields(change: Change) -> dict[str, str | int]:
    return {"tenant_id": change.tenant, "document_id": change.document, "document_version": change.new_version}
