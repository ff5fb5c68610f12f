"""Drop what another release left behind: its scope is asked for no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

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
    """Tenants that entries were dropped of."""

    async def __call__(self) -> None:
        """Return once they are gone and announced. Raises `Unavailable`: the next call goes on."""
        if self._done:
            return
        count = 0
        while left := await self.operators.run(self._left_behind):
            self._untold |= {entry.scope.tenant for entry in left}
            await self.writer.run(partial(self._drop, left))
            count += len(left)
        if count:
            log.info("releases_left_behind", dropped=count)
        for tenant in sorted(self._untold):
            await self.announce(tenant, "")
        self._done = True

    def _left_behind(self) -> Sequence[Entry]:
        return list(islice(self.store.of_other_releases(self.application, self.release), BATCH))

    def _drop(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.store.add_notice(dropped(entry, Cause.RELEASE, self.clock.now()))
            self.store.drop(entry)
            self.tallies.add(entry.scope, Cause.RELEASE)
