"""How many entries there may be, and which go when there are more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from plumbline_cache.domain.entry import Entry, Saving
from plumbline_cache.domain.lifetime import is_alive

TOKENS_A_SECOND: Final = 100
"""So many tokens weigh as much as a second of waiting: about what a small model writes in it."""

_LEAST_SECONDS: Final = 0.1
"""What a hit saves at least: the search."""

_GRACE: Final = timedelta(hours=1)
"""How long an entry must have been there before what it was not asked for says much about it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many entries there may be; both at least 1."""

    entries: int
    per_tenant: int


def surplus(counts: Mapping[str, int], bounds: Bounds) -> dict[str, int]:
    """How many entries each tenant has to give up, of those that have to.

    None keeps more than its bound. If all together are still too many, those who have most give, down to an equal
    share (max-min fairness): who holds no more than the bound divided by the number of tenants loses nothing,
    whatever the others do.
    """
    kept = {tenant: min(count, bounds.per_tenant) for tenant, count in counts.items()}
    share = _share(kept.values(), bounds.entries)
    gone = {tenant: counts[tenant] - min(count, share) for tenant, count in kept.items()}
    return {tenant: number for tenant, number in gone.items() if number}


def worth(entry: Entry, hits: int, now: datetime) -> float:
    """What keeping *entry* saves, in seconds per second: each hit's saving times hits over time; 0 once it expired.

    Hyperbolic caching (Blankstein, Sen, Freedman: Hyperbolic Caching, USENIX ATC 2017) with one size for all. Of a
    young entry the rate says little, so each begins with one hit and an hour.
    """
    if not is_alive(entry, now):
        return 0.0
    age = max(now - entry.admit_time, timedelta())
    return (hits + 1) * _seconds(entry.saving) / (age + _GRACE).total_seconds()


def _seconds(saving: Saving) -> float:
    tokens = saving.prompt_tokens + saving.completion_tokens
    return max(saving.seconds + tokens / TOKENS_A_SECOND, _LEAST_SECONDS)


def _share(counts: Iterable[int], room: int) -> int:
    """The most that each may hold so that all together hold no more than *room*."""
    ascending = sorted(counts)
    for place, count in enumerate(ascending):
        share = room // (len(ascending) - place)
        if count > share:
            return share
        room -= count
    return max(ascending, default=0)
