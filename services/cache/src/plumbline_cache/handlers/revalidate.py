"""Mark entries that a new passage might have changed: they are not served until there is a fresh answer."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

import structlog

from plumbline_cache.domain.addition import Addition
from plumbline_cache.domain.entry import Entry, Vector
from plumbline_cache.ports import Store, Turns

log = structlog.get_logger()

Added = tuple[Addition, Vector | None]

MOST_ADDITIONS: Final = 20_000
"""Kept with their vectors for each tenant, some 40 MB. Beyond, an answer begun before is admitted marked."""
AT_ONCE: Final = 16
"""Passages that one turn of the writer looks at: among 100,000 entries each takes milliseconds."""
MARKED_AT_ONCE: Final = 64
"""Entries that one turn of the writer marks, in some 5 ms."""


@dataclass(frozen=True)
class MarkEntries:
    """Idempotent, and in any order: passages are kept, so that answers that come later are compared with them too.

    One mark will do, so an entry that has one is not looked at again. What is found is marked a few at a time: a
    change that waits to raise a floor goes before the rest.
    """

    store: Store
    writer: Turns

    async def __call__(self, added: Sequence[Added]) -> None:
        """Return once no entry is served that one of them might have changed. Raises `Unavailable`."""
        left, marked = iter(added), 0
        while some := list(islice(left, AT_ONCE)):
            near = iter(await self.writer.run(partial(self._keep_and_find, some)))
            while few := list(islice(near, MARKED_AT_ONCE)):
                marked += await self.writer.run(partial(self._mark, few))
        if marked:
            log.info("entries_marked", tenant_id=added[0][0].tenant, marked=marked, added=len(added))

    def _keep_and_find(self, added: Sequence[Added]) -> Collection[Entry]:
        """Those to mark, with their marks. An answer that is admitted after this turn looks at what is kept itself."""
        found: dict[str, Entry] = {}
        for addition, vector in added:
            self._keep(addition, vector)
            found |= {entry.id: replace(entry, mark=addition.mark) for entry in self._near(addition, vector)}
        return found.values()

    def _mark(self, entries: Sequence[Entry]) -> int:
        for entry in entries:
            self.store.mark(entry)
        return len(entries)

    def _keep(self, addition: Addition, vector: Vector | None) -> None:
        tenant = addition.tenant
        if vector is None:
            self.store.keep_addition(addition.line, None)
            return
        if self.store.count_additions(tenant) >= MOST_ADDITIONS:
            self.store.keep_addition(addition.line, None)
            self.store.forget_additions(addition.time, tenant)
        self.store.keep_addition(addition, vector)

    def _near(self, addition: Addition, vector: Vector | None) -> Iterator[Entry]:
        if vector is not None:
            return filter(addition.concerns, self.store.unmarked_near(addition.tenant, vector))
        of_tenant = self.store.of_tenant(addition.tenant)
        return (entry for entry in of_tenant if entry.mark is None and addition.concerns(entry))
