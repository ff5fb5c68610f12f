"""List the entries that matter most to a tenant."""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

from plumbline_cache.domain.entry import Entry
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import EntryKeeper, Turns

Rank = Callable[[Entry, int], Any]


class Order(Enum):
    """What comes first."""

    HITS = "hits"
    SAVED_TIME = "saved_time"
    NEWEST = "newest"


_RANKS: Final[Mapping[Order, Rank]] = {
    Order.HITS: lambda entry, hits: (hits, entry.admit_time),
    Order.SAVED_TIME: lambda entry, hits: (hits * entry.saving.seconds, entry.admit_time),
    Order.NEWEST: lambda entry, hits: (entry.admit_time, hits),
}


@dataclass(frozen=True, slots=True)
class TopEntry:
    """An entry and how often it was served."""

    entry: Entry
    hits: int


@dataclass(frozen=True, slots=True)
class Top:
    """The first entries, and how many the caller may not read."""

    entries: Sequence[TopEntry]
    hidden: int


@dataclass(frozen=True)
class ListTopEntries:
    """Shows a caller only what it could have been answered: entries of its own groups, or of some of them."""

    entries: EntryKeeper
    uses: Uses
    operators: Turns
    """Apart from those of lookups: reading every entry of a tenant takes a while."""

    async def __call__(self, tenant: str, groups: Collection[str], order: Order, limit: int) -> Top:
        """At most *limit* entries."""
        return await self.operators.run(partial(self._top, tenant, frozenset(groups), order, limit))

    def _top(self, tenant: str, groups: frozenset[str], order: Order, limit: int) -> Top:
        seen: Counter[bool] = Counter()

        def shown(entry: Entry) -> bool:
            # A question that was changed for its conversation holds what one person said.
            visible = groups.issuperset(entry.scope.groups) and not entry.scope.conversation
            seen[visible] += 1
            return visible

        def rank(entry: Entry) -> Any:
            return _RANKS[order](entry, self.uses.of(entry))

        best = heapq.nlargest(limit, filter(shown, self.entries.of_tenant(tenant)), key=rank)
        return Top([TopEntry(entry, self.uses.of(entry)) for entry in best], hidden=seen[False])
