"""What audits found, and what follows from it for the next lookup."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Final, TypeAlias, TypeVar

import structlog

from plumbline_cache.domain.audit import OF_ONE_TENANT, WINDOW, Audit, FalseHits, Level, Outcome, Ruling, Window, rule
from plumbline_cache.domain.lookup import Tier
from plumbline_kit.clock import Clock

log = structlog.get_logger()

K = TypeVar("K")
V = TypeVar("V")

_Key: TypeAlias = tuple[Tier, Level, str]

NOTHING_FALSE: Final = -2.0
"""Below every similarity."""
MARGIN: Final = 0.001
"""Of similarities: engines differ a little on the same two questions."""
SCOPES: Final = 1_000
"""Scopes that are remembered, those audited last: 250 MB if each has 500 audits."""
ENTRIES: Final = 100_000


@dataclass(frozen=True, slots=True)
class AuditedScope:
    """A scope with audits of its own."""

    scope_key: str
    hits: FalseHits
    """Of the semantic tier."""
    ruling: Ruling


class AuditLedger:
    """Audits of one release, in memory: whoever starts hears all of them again. Safe among threads.

    Metrics are read in one of their own, and a server's store is searched in many.
    """

    def __init__(self, target: float, clock: Clock, *, scopes: int = SCOPES) -> None:
        """*target* is the share of semantic hits that may be wrong, in (0, 1]; *scopes* is how many are remembered."""
        self.target = target
        self._clock = clock
        self._most_scopes = scopes
        self._windows: OrderedDict[_Key, Window] = OrderedDict()
        self._tenants: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._false_up_to: OrderedDict[str, float] = OrderedDict()
        self._lock = RLock()

    def add(self, audit: Audit) -> None:
        """Count it, once however often it is told and in whatever order, and say when that switches the tier."""
        with self._lock:
            before = self.ruling(audit.scope_key, audit.tenant)
            for level in Level:
                self._window(level, audit).add(audit)
            if audit.tier is Tier.SEMANTIC:
                _touch(self._tenants, (audit.tenant, audit.scope_key), None, self._most_scopes)
                self._learn(audit)
            after = self.ruling(audit.scope_key, audit.tenant)
        self._tell(audit, before, after)

    def ruling(self, scope_key: str, tenant: str) -> Ruling:
        """Whether near questions are answered in the scope."""
        return rule(
            ((level, self._hits(_key(Tier.SEMANTIC, level, scope_key, tenant))) for level in Level), self.target
        )

    def false_up_to(self, entry_id: str) -> float:
        """The greatest similarity at which a hit of the entry was wrong: only nearer questions may have its answer."""
        return self._false_up_to.get(entry_id, NOTHING_FALSE)

    def hits_of(self, tenant: str, tier: Tier) -> FalseHits:
        """What all audits of a tenant come to."""
        return self._hits(_key(tier, Level.TENANT, "", tenant))

    def hits_in(self, scope_key: str, tenant: str, tier: Tier) -> FalseHits:
        """What those of one scope come to."""
        return self._hits(_key(tier, Level.SCOPE, scope_key, tenant))

    def scopes_of(self, tenant: str) -> list[AuditedScope]:
        """The tenant's scopes with audited semantic hits, by their keys."""
        with self._lock:
            return [
                AuditedScope(key, self.hits_in(key, tenant, Tier.SEMANTIC), self.ruling(key, tenant))
                for owner, key in sorted(self._tenants)
                if owner == tenant
            ]

    def semantic_scopes(self) -> Mapping[str, list[AuditedScope]]:
        """The same of all tenants, by tenant."""
        with self._lock:
            return {tenant: self.scopes_of(tenant) for tenant in {tenant for tenant, _ in self._tenants}}

    def _window(self, level: Level, audit: Audit) -> Window:
        key = _key(audit.tier, level, audit.scope_key, audit.tenant)
        window = self._windows.get(key) or Window(OF_ONE_TENANT if level is Level.RELEASE else WINDOW)
        _touch(self._windows, key, window, len(Tier) * len(Level) * self._most_scopes)
        return window

    def _hits(self, key: _Key) -> FalseHits:
        with self._lock:  # what is too old goes with the look at it
            window = self._windows.get(key)
            return FalseHits() if window is None else window.hits(self._clock.now())

    def _learn(self, audit: Audit) -> None:
        if audit.outcome is Outcome.DIFFERENT:
            most = max(audit.similarity + MARGIN, self.false_up_to(audit.entry_id))
            _touch(self._false_up_to, audit.entry_id, most, ENTRIES)

    def _tell(self, audit: Audit, before: Ruling, now: Ruling) -> None:
        if before.off == now.off:
            return
        event = "semantic_tier_switched_off" if now.off else "semantic_tier_switched_on"
        log.warning(
            event,
            tenant_id=audit.tenant,
            scope_key=audit.scope_key,
            level=now.level.value if now.level else "",
            audited=now.hits.audited,
            false=now.hits.false,
            undecided=now.hits.undecided,
            high=round(now.hits.high, 4),
            target=self.target,
        )


def _touch(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Keep it as the last that was touched, and forget the one that was not for longest where there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


def _key(tier: Tier, level: Level, scope_key: str, tenant: str) -> _Key:
    return tier, level, {Level.SCOPE: scope_key, Level.TENANT: tenant, Level.RELEASE: ""}[level]
