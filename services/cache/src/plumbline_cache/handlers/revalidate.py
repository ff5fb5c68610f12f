"""Mark entries that a new passage might have changed: they are not served until there is a fresh answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

import structlog

from plumbline_cache.domain.addition import LEAST, Addition, newest_mark
from plumbline_cache.domain.entry import Entry, Vector
from plumbline_cache.ports import Store, Turns

log = structlog.get_logger()

Added = tuple[Addition, Vector | None]

MOST_ADDITIONS: Final = 20_000
"""Kept with their vectors for each tenant, some 40 MB. Beyond, an answer begun before is admitted marked."""
AT_ONCE: Final = 16
"""Passages that one turn of the writer looks at: among 100,000 entries each takes milliseconds."""


@dataclass(frozen=True)
class MarkEntries:
    """Idempotent, and in any order: passages are kept, so that answers that come later are compared with them too."""

    store: Store
    writer: Turns

    async def __call__(self, added: Sequence[Added]) -> None:
        """Return once no entry is served that one of them might have changed. Raises `Unavailable`."""
        left, marked = iter(added), 0
        while some := list(islice(left, AT_ONCE)):
            marked += await self.writer.run(partial(self._mark_near, some))
        if marked:
            log.info("entries_marked", tenant_id=added[0][0].tenant, marked=marked, added=len(added))

    def _mark_near(self, added: Sequence[Added]) -> int:
        return sum(self._mark(addition, vector) for addition, vector in added)

    def _mark(self, addition: Addition, vector: Vector | None) -> int:
        self._keep(addition, vector)
        marked = 0
        for entry in self._near(addition, vector):
            mark = newest_mark(entry, [addition])
            if mark != entry.mark:
                self.store.mark(replace(entry, mark=mark))
                marked += 1
        return marked

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
        if vector is None:
            return filter(addition.concerns, self.store.of_tenant(addition.tenant))
        near = self.store.nearest_of_tenant(addition.tenant, vector, least=LEAST)
        return (one.entry for one in near if addition.might_answer(one.entry, one.similarity))
