"""Let go of entries whose time is over, and of those that save least where there are too many."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.freshness import Cause, dropped
from plumbline_cache.domain.room import Bounds, surplus, worth
from plumbline_cache.handlers.invalidate import AnnounceDrops
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import Store, Turns
from plumbline_kit.clock import Clock

log = structlog.get_logger()

BATCH: Final = 64
"""Entries that one turn of the writer looks at: some milliseconds."""

MOST_BETWEEN: Final = 256
"""Admissions between two looks at how many entries there are, which may cost a tenth of a second on a server."""

WORST: Final = 4
"""Of a sample one in so many goes."""


@dataclass(frozen=True)
class SweepExpired:
    """Drops what is not served any more, so that it takes no room, and tells of it."""

    store: Store
    announce: AnnounceDrops
    writer: Turns
    tallies: Tallies
    clock: Clock

    async def __call__(self) -> None:
        """Raises `Unavailable`; the next call does what is left."""
        while gone := await self.writer.run(self._sweep_some):
            for tenant, number in gone.items():
                log.info("entries_expired", tenant_id=tenant, dropped=number)
                await self.announce(tenant, "")

    def _sweep_some(self) -> Counter[str]:
        """One turn of the writer; how many went, by tenant."""
        now = self.clock.now()
        over = self.store.expired(now, BATCH)
        for entry in over:
            self.store.add_notice(dropped(entry, Cause.EXPIRED, now))
            self.store.drop(entry)
            self.tallies.add(entry.scope, Cause.EXPIRED)
        return Counter(entry.scope.tenant for entry in over)


@dataclass(frozen=True)
class MakeRoom:
    """Drops of each tenant what is too much, the least worth of random samples first, and tells of it.

    A sample finds nearly the least without an order of all entries that every hit would have to keep up.
    """

    store: Store
    announce: AnnounceDrops
    writer: Turns
    uses: Uses
    tallies: Tallies
    clock: Clock
    bounds: Bounds
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Two that count at the same time would both drop what is too much."""

    async def __call__(self) -> None:
        """Raises `Unavailable`; the next call does what is left."""
        async with self._lock:
            counts = await self.writer.run(self.store.count_by_tenant)
            for tenant, number in surplus(counts, self.bounds).items():
                await self._evict(tenant, number)

    async def _evict(self, tenant: str, number: int) -> None:
        left = number
        while left > 0 and (gone := await self.writer.run(partial(self._evict_some, tenant, left))):
            left -= gone
        log.info("entries_evicted", tenant_id=tenant, dropped=number - left)
        await self.announce(tenant, "")

    def _evict_some(self, tenant: str, most: int) -> int:
        """One turn of the writer; how many went."""
        now = self.clock.now()
        worst = self._worst(self.store.sample(tenant, BATCH))[:most]
        for entry in worst:
            self.store.add_notice(dropped(entry, Cause.EVICTED, now))
            self.store.drop(entry)
            self.tallies.add(entry.scope, Cause.EVICTED)
        return len(worst)

    def _worst(self, sample: Sequence[Entry]) -> Sequence[Entry]:
        now = self.clock.now()
        ascending = sorted(sample, key=lambda entry: worth(entry, self.uses.of(entry), now))
        return ascending[: -(-len(sample) // WORST)]


class RoomWatch:
    """Makes room after so many admissions: whoever admits waits, so the bounds hold however fast answers come."""

    def __init__(self, make_room: MakeRoom) -> None:
        self._make_room = make_room
        self._most = max(1, min(MOST_BETWEEN, make_room.bounds.per_tenant // 20))
        self._since = 0

    async def admitted(self) -> None:
        """One more was admitted. Raises `Unavailable`."""
        self._since += 1
        if self._since >= self._most:
            self._since = 0
            await self._make_room()
