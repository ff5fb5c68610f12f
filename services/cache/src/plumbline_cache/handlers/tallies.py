"""What happened since the start, by scope."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from threading import Lock
from typing import Final, TypeAlias

from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.domain.freshness import Cause
from plumbline_cache.domain.lookup import MissReason, Tier

MOST_SCOPES: Final = 200
"""How many scopes of a tenant are counted apart: a caller may name any release it likes."""


class Admission(Enum):
    """The one way in."""

    ADMITTED = "admitted"


Happening: TypeAlias = Tier | MissReason | Admission | Refusal | Cause
"""A hit, a miss, an answer taken in or refused, an entry dropped."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened in one scope, whatever the conversation. *scope* is None for all that are not counted apart."""

    scope: Scope | None
    counts: Counter[Happening]
    saved: Saving

    @property
    def hits(self) -> int:
        """Of both tiers."""
        return sum(self.counts[tier] for tier in Tier)


class Tallies:
    """Counts that begin anew with every start. Safe among threads."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, dict[Scope | None, Tally]] = defaultdict(dict)
        self._lock = Lock()

    def add(self, scope: Scope, happening: Happening, saved: Saving | None = None) -> None:
        """It happened once more, and *saved* that much."""
        with self._lock:
            rows = self._rows[scope.tenant]
            shared: Scope | None = replace(scope, conversation="")
            if shared not in rows and len(rows) >= MOST_SCOPES:
                shared = None
            row = rows.get(shared, Tally(shared, Counter(), Saving()))
            row.counts[happening] += 1
            rows[shared] = row if saved is None else replace(row, saved=row.saved + saved)

    def of(self, tenant: str) -> Sequence[Tally]:
        """A copy of the tenant's rows, the most hits first."""
        with self._lock:
            rows = [replace(row, counts=Counter(row.counts)) for row in self._rows.get(tenant, {}).values()]
        return sorted(rows, key=lambda row: row.hits, reverse=True)

    def total(self, tenant: str | None = None) -> Tally:
        """All rows together, of one tenant or of everybody."""
        with self._lock:
            tenants = self._rows.values() if tenant is None else [self._rows.get(tenant, {})]
            rows = [row for each in tenants for row in each.values()]
            counts = sum((row.counts for row in rows), Counter[Happening]())
        return Tally(None, counts, sum((row.saved for row in rows), Saving()))
