"""What happened since the start, by tenant."""

from collections import Counter, defaultdict
from enum import Enum


class Count(Enum):
    """What is counted."""

    EXACT_HIT = "exact_hit"
    SEMANTIC_HIT = "semantic_hit"
    MISS = "miss"
    ADMITTED = "admitted"
    REFUSED = "refused"
    INVALIDATED = "invalidated"
    EXPIRED = "expired"
    EVICTED = "evicted"


class Tallies:
    """Counts that begin anew with every start. Safe within one thread."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[Count]] = defaultdict(Counter)

    def add(self, tenant: str, count: Count, times: int = 1) -> None:
        """Count *times* more."""
        self._counts[tenant][count] += times

    def of(self, tenant: str) -> Counter[Count]:
        """A copy of the tenant's counts."""
        return Counter(self._counts.get(tenant))
