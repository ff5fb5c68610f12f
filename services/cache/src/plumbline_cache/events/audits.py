"""Kafka in and out: hits that were answered afresh come, what came of comparing goes, and every process hears that."""

import uuid
from datetime import UTC
from typing import Any, Final

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.cache.v1 import cache_service_pb2 as service_pb
from plumbline.common.v1 import answer_pb2 as common
from plumbline_cache.domain.audit import Audit, Outcome
from plumbline_cache.domain.comparison import Told
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.compare import CompareAnswers, Finding
from plumbline_cache.handlers.retract import RetractAnswer
from plumbline_cache.translation.stats import false_hit_rate
from plumbline_contracts.topics import AUDIT_REQUESTED, HIT_AUDITED
from plumbline_kit.bus.messages import Publisher, Received, Subscription
from plumbline_kit.errors import Invalid
from plumbline_kit.release import Release
from plumbline_kit.telemetry import meter, names, tracer
from plumbline_models.evidence import Source

log = structlog.get_logger()

AUDITORS: Final = "cache-auditors"
"""The consumer group of all replicas: every hit is compared by one of them."""

_OUTCOMES: Final = {
    pb.AUDIT_OUTCOME_SAME: Outcome.SAME,
    pb.AUDIT_OUTCOME_DIFFERENT: Outcome.DIFFERENT,
    pb.AUDIT_OUTCOME_UNDECIDED: Outcome.UNDECIDED,
}
_OUTCOMES_TO_PROTO: Final = {outcome: value for value, outcome in _OUTCOMES.items()}
_TIERS: Final = {service_pb.CACHE_TIER_EXACT: Tier.EXACT, service_pb.CACHE_TIER_SEMANTIC: Tier.SEMANTIC}


class AuditEvents:
    """Hears every audit from the first on, anew with every start: the ledger is in memory."""

    def __init__(self, ledger: AuditLedger, release: Release) -> None:
        self._ledger = ledger
        self._release = release

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
        elif _is_of(self._release, event.release):
            self._ledger.add(_audited(event))


class AuditRequests:
    """Compares what was answered twice."""

    def __init__(self, compare: CompareAnswers, retract: RetractAnswer, publisher: Publisher, release: Release) -> None:
        self._compare = compare
        self._retract = retract
        self._publisher = publisher
        self._release = release
        self._audits = meter().create_counter(
            names.CACHE_AUDITS, description="Hits that were compared with a fresh answer, by tier and outcome."
        )

    def subscriptions(self) -> tuple[Subscription[Any], ...]:
        """For the consumer."""
        return (Subscription(AUDIT_REQUESTED, self._audit_requested),)

    async def _audit_requested(self, received: Received[pb.AuditRequested]) -> None:
        event = received.body
        if event is None or event.hit.tier not in _TIERS or not (event.tenant_id and event.audit_id):
            raise Invalid("an audit without id, tenant or tier is of nothing")
        with tracer().start_as_current_span("compare answers"):
            finding = await self._compare(
                _requested(event),
                _told(event.cached_answer),
                _told(event.fresh_answer),
                counts=_is_of(self._release, event.release),
            )
        outcome = finding.audit.outcome.value
        self._audits.add(1, {names.CACHE_TIER: finding.audit.tier.value, names.AUDIT_OUTCOME: outcome})
        await self._publisher.publish(HIT_AUDITED, event.tenant_id, _fact(event, finding), event_id=event.audit_id)
        await self._retract(finding.audit, event.hit.answer_id)


def _is_of(release: Release, ref: common.ReleaseRef) -> bool:
    return (ref.application_id, ref.release_id) == (release.application_id, release.id)


def _requested(event: pb.AuditRequested) -> Audit:
    return _audit(event.hit, event.audit_id, event.tenant_id, Outcome.UNDECIDED, event.request_time)


def _audited(event: pb.HitAudited) -> Audit:
    outcome = _OUTCOMES.get(event.outcome, Outcome.UNDECIDED)
    return _audit(event.hit, event.audit_id, event.tenant_id, outcome, event.audit_time)


def _audit(hit: pb.AuditedHit, audit_id: str, tenant: str, outcome: Outcome, time: Timestamp) -> Audit:
    return Audit(
        time=time.ToDatetime(UTC),
        id=audit_id,
        scope_key=hit.scope_key,
        tenant=tenant,
        tier=_TIERS[hit.tier],
        entry_id=hit.entry_id,
        similarity=hit.similarity,
        outcome=outcome,
    )


def _told(answer: common.Answer) -> Told:
    return Told(
        answer.text,
        refused=answer.outcome == common.ANSWER_OUTCOME_REFUSED,
        sources=tuple(Source(passage.title, passage.text) for passage in answer.sources),
    )


def _fact(event: pb.AuditRequested, finding: Finding) -> pb.HitAudited:
    return pb.HitAudited(
        audit_id=event.audit_id,
        tenant_id=event.tenant_id,
        scope_key=event.hit.scope_key,
        release=event.release,
        question=event.question,
        served_answer_id=event.served_answer_id,
        hit=event.hit,
        fresh_answer_id=event.fresh_answer_id,
        outcome=_OUTCOMES_TO_PROTO[finding.audit.outcome],
        reason=finding.reason.value,
        false_hit_rate=None if finding.hits is None else false_hit_rate(finding.hits),
        audit_time=event.request_time,
    )
