"""What audits of hits say: how many were wrong, and whether near questions may still be answered.

A rate comes with its Wilson score interval (Wilson, 1927). What the comparison could not tell counts as right in the
lower bound and as wrong in the upper one.
"""

import math
from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from plumbline_cache.domain.lookup import Tier

WINDOW: Final = 500
"""Newest audits that count: what was mended must be able to show it."""
WINDOW_TIME: Final = timedelta(days=30)
"""Older ones don't count; the event log keeps them no longer either."""
EARLY: Final = 10
"""So many audits are enough where even the lower bound is beyond the target."""
OF_ONE_TENANT: Final = 50
"""So many of one tenant's count for the whole release: no tenant alone switches the tier off for others."""
_Z: Final = 1.959963984540054
"""Standard normal quantile of 97.5 %: intervals hold 95 %."""


class Outcome(Enum):
    """What came of comparing a cached answer with a fresh one."""

    SAME = "same"
    """The cached answer is right for the question that was asked."""
    DIFFERENT = "different"
    UNDECIDED = "undecided"
    """The comparison cannot tell."""


class Level(Enum):
    """Whose audits decide, from the narrowest to the widest."""

    SCOPE = "scope"
    TENANT = "tenant"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, order=True)
class Audit:
    """One hit that was answered afresh too; ordered by time."""

    time: datetime
    """When the fresh answer was there."""
    id: str
    scope_key: str
    tenant: str
    tier: Tier
    entry_id: str
    similarity: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class FalseHits:
    """How many of the audited hits were wrong."""

    audited: int = 0
    false: int = 0
    undecided: int = 0

    @property
    def low(self) -> float:
        """Lower bound of the share, in [0, 1]; 0 where nothing was audited."""
        return wilson(self.false, self.audited)[0]

    @property
    def high(self) -> float:
        """Upper bound of the share, in [0, 1]; 1 where nothing was audited."""
        return wilson(self.false + self.undecided, self.audited)[1]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether the semantic tier is off in a scope, and whose audits say so: nobody's, where there are too few."""

    off: bool
    level: Level | None = None
    hits: FalseHits = FalseHits()  # frozen


class Window:
    """The audits that count, in whatever order and however often they are told."""

    def __init__(self, most_of_a_tenant: int = WINDOW) -> None:
        """*most_of_a_tenant* is how many of one tenant's count."""
        self._most = most_of_a_tenant
        self._audits: list[Audit] = []
        self._ids: set[str] = set()
        self._tenants: Counter[str] = Counter()
        self._outcomes: Counter[Outcome] = Counter()

    def add(self, audit: Audit) -> None:
        """Count it, unless it was told before or newer ones fill the window."""
        if audit.id in self._ids:
            return
        insort(self._audits, audit)
        self._ids.add(audit.id)
        self._count(audit, 1)
        if self._tenants[audit.tenant] > self._most:
            self._forget(next(place for place, one in enumerate(self._audits) if one.tenant == audit.tenant))
        if len(self._audits) > WINDOW:
            self._forget(0)

    def hits(self, now: datetime) -> FalseHits:
        """What they come to."""
        while self._audits and self._audits[0].time <= now - WINDOW_TIME:
            self._forget(0)
        return FalseHits(len(self._audits), self._outcomes[Outcome.DIFFERENT], self._outcomes[Outcome.UNDECIDED])

    def _forget(self, place: int) -> None:
        audit = self._audits.pop(place)
        self._ids.remove(audit.id)
        self._count(audit, -1)

    def _count(self, audit: Audit, step: int) -> None:
        self._tenants[audit.tenant] += step
        self._outcomes[audit.outcome] += step


def wilson(count: int, total: int) -> tuple[float, float]:
    """The interval of a share of *count* in *total*; all of [0, 1] where there is nothing."""
    if not total:
        return 0.0, 1.0
    share, square = count / total, _Z * _Z
    middle = share + square / (2 * total)
    spread = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def enough(target: float) -> int:
    """From how many audits on not one wrong hit among them proves that at most *target* are: 125 for 3 %."""
    return math.ceil(_Z * _Z * (1 - target) / target)


def rule(levels: Iterable[tuple[Level, FalseHits]], target: float) -> Ruling:
    """The narrowest of *levels* that has enough audits decides. Where none has, near questions are answered."""
    for level, hits in levels:
        if hits.audited >= enough(target):
            return Ruling(hits.high > target, level, hits)
        if level is not Level.RELEASE and hits.audited >= EARLY and hits.low > target:
            return Ruling(True, level, hits)
    return Ruling(off=False)
