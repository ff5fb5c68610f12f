"""Kafka in: what audits of hits found."""

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any, Final

import structlog
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.cache.v1 import cache_service_pb2 as service_pb
from plumbline_cache.domain.audit import Audit, Outcome
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.handlers.audits import AuditedScope, AuditLedger
from plumbline_contracts.topics import HIT_AUDITED
from plumbline_kit.bus.messages import Received, Subscription
from plumbline_kit.release import Release
from plumbline_kit.telemetry import meter, names

log = structlog.get_logger()

MEASURED_SCOPES: Final = 200
"""As many have a metric of their own, those with the most audits: every one is a series."""

_OUTCOMES: Final = {
    pb.AUDIT_OUTCOME_SAME: Outcome.SAME,
    pb.AUDIT_OUTCOME_DIFFERENT: Outcome.DIFFERENT,
    pb.AUDIT_OUTCOME_UNDECIDED: Outcome.UNDECIDED,
}
_TIERS: Final = {service_pb.CACHE_TIER_EXACT: Tier.EXACT, service_pb.CACHE_TIER_SEMANTIC: Tier.SEMANTIC}


class AuditEvents:
    """Hears every audit from the first on, anew with every start: the ledger is in memory."""

    def __init__(self, ledger: AuditLedger, release: Release) -> None:
        self._ledger = ledger
        self._release = (release.application_id, release.id)
        _measure(meter(), ledger)

    def group(self) -> str:
        """A consumer group that nobody had before, so that it begins with the first event."""
        return f"cache-audits-{uuid.uuid4().hex[:12]}"

    def subscriptions(self) -> tuple[Subscription[Any], ...]:
        """For the consumer."""
        return (Subscription(HIT_AUDITED, self._hit_audited),)

    async def _hit_audited(self, received: Received[pb.HitAudited]) -> None:
        event = received.body
        if event is None or event.hit.tier not in _TIERS:
            log.warning("audit_not_understood", event_id=received.event_id)  # it counts for nothing, and stops nothing
            return
        if (event.release.application_id, event.release.release_id) == self._release:
            self._ledger.add(_audit(event))


def _audit(event: pb.HitAudited) -> Audit:
    return Audit(
        time=event.audit_time.ToDatetime(UTC),
        id=event.audit_id,
        scope_key=event.scope_key,
        tenant=event.tenant_id,
        tier=_TIERS[event.hit.tier],
        entry_id=event.hit.entry_id,
        similarity=event.hit.similarity,
        outcome=_OUTCOMES.get(event.outcome, Outcome.UNDECIDED),
    )


def _measure(meter: Meter, ledger: AuditLedger) -> None:
    def scopes() -> list[tuple[str, AuditedScope]]:
        found = [(tenant, one) for tenant, scopes in ledger.semantic_scopes().items() for one in scopes]
        return sorted(found, key=lambda pair: -pair[1].hits.audited)[:MEASURED_SCOPES]

    def observe(value: Callable[[AuditedScope], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [
            Observation(value(one), {names.TENANT_ID: tenant, names.CACHE_SCOPE: one.scope_key})
            for tenant, one in scopes()
        ]

    about = "of audited semantic hits, by scope: "
    gauges: dict[str, tuple[Callable[[AuditedScope], float], str]] = {
        names.CACHE_FALSE_HITS_LOW: (lambda one: one.hits.low, f"{about}lower bound of the false ones' share"),
        names.CACHE_FALSE_HITS_HIGH: (lambda one: one.hits.high, f"{about}upper bound of the false ones' share"),
        names.CACHE_AUDITED_HITS: (lambda one: one.hits.audited, f"{about}how many count"),
        names.CACHE_SWITCHED_OFF: (lambda one: one.ruling.off, "1 where near questions are not answered, by scope"),
    }
    for name, (value, description) in gauges.items():
        meter.create_observable_gauge(name, [observe(value)], description=description)
