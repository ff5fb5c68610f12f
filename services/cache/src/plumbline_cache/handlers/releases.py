"""Drop what another release left behind: its scope is asked for no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.freshness import Cause, dropped
from plumbline_cache.handlers.invalidate import AnnounceDrops
from plumbline_cache.handlers.room import BATCH
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.ports import Store, Turns
from plumbline_kit.clock import Clock

log = structlog.get_logger()


@dataclass
class DropOtherReleases:
    """Does its work once: after that none of another release comes in."""

    store: Store
    announce: AnnounceDrops
    writer: Turns
    operators: Turns
    tallies: Tallies
    clock: Clock
    application: str
    release: str
    _done: bool = field(default=False, init=False)
    _untold: set[str] = field(default_factory=set, init=False)
    """Tenants; whose entries are all gone is counted no more."""

    async def __call__(self) -> None:
        """Return once they are gone and announced. Raises `Unavailable`: the next call goes on."""
        if self._done:
            return
        for tenant in await self.operators.run(self.store.count_by_tenant):
            left = await self.operators.run(partial(self._left_behind, tenant))
            self._untold.add(tenant)
            for first in range(0, len(left), BATCH):
                await self.writer.run(partial(self._drop, left[first : first + BATCH]))
            if left:
                log.info("release_left_behind", tenant_id=tenant, dropped=len(left))
        for tenant in sorted(self._untold):
            await self.announce(tenant, "")
        self._done = True

    def _left_behind(self, tenant: str) -> Sequence[Entry]:
        active = (self.application, self.release)
        entries = self.store.of_tenant(tenant)
        return [entry for entry in entries if (entry.scope.application, entry.scope.release) != active]

    def _drop(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.store.add_notice(dropped(entry, Cause.RELEASE, self.clock.now()))
            self.store.drop(entry)
            self.tallies.add(entry.scope, Cause.RELEASE)
