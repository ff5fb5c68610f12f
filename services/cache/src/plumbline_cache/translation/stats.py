"""What was counted, saved and audited."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.audit import FalseHits, Level
from plumbline_cache.domain.entry import Scope
from plumbline_cache.domain.freshness import Cause
from plumbline_cache.domain.lookup import MissReason, Tier
from plumbline_cache.handlers.audits import AuditedScope, AuditLedger
from plumbline_cache.handlers.tallies import Admission, Happening, Tally
from plumbline_cache.translation.values import release_to_proto, saving_to_proto

_LEVELS: Final = {
    Level.SCOPE: pb.AUDIT_LEVEL_SCOPE,
    Level.TENANT: pb.AUDIT_LEVEL_TENANT,
    Level.RELEASE: pb.AUDIT_LEVEL_RELEASE,
}


def stats_to_proto(total: Tally, rows: Sequence[Tally], entries: int) -> pb.GetStatsResponse:
    """Counts of a tenant as a whole and of its scopes."""
    counts = total.counts
    return pb.GetStatsResponse(
        entry_count=entries,
        exact_hit_count=counts[Tier.EXACT],
        semantic_hit_count=counts[Tier.SEMANTIC],
        miss_count=_sum(counts, MissReason),
        admitted_count=counts[Admission.ADMITTED],
        refused_count=_sum(counts, Refusal),
        invalidated_count=_sum(counts, Cause),
        expired_count=counts[Cause.EXPIRED],
        evicted_count=counts[Cause.EVICTED],
        saved=saving_to_proto(total.saved),
        scopes=map(_scope_stats, rows),
    )


def _scope_stats(row: Tally) -> pb.ScopeStats:
    counts = row.counts
    stats = pb.ScopeStats(
        exact_hit_count=counts[Tier.EXACT],
        semantic_hit_count=counts[Tier.SEMANTIC],
        miss_counts=_named(counts, MissReason),
        admitted_count=counts[Admission.ADMITTED],
        refused_counts=_named(counts, Refusal),
        invalidated_counts=_named(counts, Cause),
        saved=saving_to_proto(row.saved),
    )
    if row.scope is not None:
        _name(stats, row.scope)
    return stats


def _name(stats: pb.ScopeStats, scope: Scope) -> None:
    stats.release.CopyFrom(release_to_proto(scope))
    stats.groups.extend(scope.groups)
    stats.language = scope.language
    stats.scope_key = scope.key


def _named(counts: Counter[Happening], kind: type[Enum]) -> Mapping[str, int]:
    return {happening.value: count for happening, count in counts.items() if isinstance(happening, kind)}


def _sum(counts: Counter[Happening], kind: type[Enum]) -> int:
    return sum(_named(counts, kind).values())


def audits_to_proto(audits: AuditLedger, tenant: str) -> pb.GetStatsResponse:
    """What audits found of the tenant's hits; nothing else is set."""
    return pb.GetStatsResponse(
        audited_scopes=map(_audited_scope, audits.scopes_of(tenant)),
        false_hit_rate=false_hit_rate(audits.hits_of(tenant, Tier.SEMANTIC)),
        exact_false_hit_rate=false_hit_rate(audits.hits_of(tenant, Tier.EXACT)),
        target_false_hit_rate=audits.target,
    )


def _audited_scope(audited: AuditedScope) -> pb.AuditedScope:
    level = audited.ruling.level
    return pb.AuditedScope(
        scope_key=audited.scope_key,
        false_hit_rate=false_hit_rate(audited.hits),
        switched_off=audited.ruling.off,
        decided_by=_LEVELS[level] if level else pb.AUDIT_LEVEL_UNSPECIFIED,
    )


def false_hit_rate(hits: FalseHits) -> pb.FalseHitRate:
    """A rate with its interval."""
    return pb.FalseHitRate(
        audited_count=hits.audited,
        false_count=hits.false,
        undecided_count=hits.undecided,
        low=hits.low,
        high=hits.high,
    )
