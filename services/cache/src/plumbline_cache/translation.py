"""Domain to contract messages, for more than one rpc."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Final

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline.generation.v1.generation_service_pb2 import Cost
from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.audit import FalseHits, Level
from plumbline_cache.domain.entry import Saving, Scope, require_question
from plumbline_cache.domain.freshness import Cause
from plumbline_cache.domain.lookup import MissReason, Tier
from plumbline_cache.domain.withdrawal import Kind, Selection
from plumbline_cache.handlers.audits import AuditedScope, AuditLedger
from plumbline_cache.handlers.tallies import Admission, Happening, Tally
from plumbline_kit.errors import Invalid

_LEVELS: Final = {
    Level.SCOPE: pb.AUDIT_LEVEL_SCOPE,
    Level.TENANT: pb.AUDIT_LEVEL_TENANT,
    Level.RELEASE: pb.AUDIT_LEVEL_RELEASE,
}


def saving_to_proto(saving: Saving) -> pb.Saving:
    """What a generation took."""
    costs = [Cost(currency_code=cost.currency, amount=cost.amount) for cost in saving.costs]
    told = pb.Saving(prompt_tokens=saving.prompt_tokens, completion_tokens=saving.completion_tokens, costs=costs)
    told.time.FromTimedelta(timedelta(seconds=saving.seconds))
    return told


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
    stats.release.CopyFrom(ReleaseRef(application_id=scope.application, release_id=scope.release))
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
        false_hit_rate=_false_hit_rate(audits.hits_of(tenant, Tier.SEMANTIC)),
        exact_false_hit_rate=_false_hit_rate(audits.hits_of(tenant, Tier.EXACT)),
        target_false_hit_rate=audits.target,
    )


def _audited_scope(audited: AuditedScope) -> pb.AuditedScope:
    level = audited.ruling.level
    return pb.AuditedScope(
        scope_key=audited.scope_key,
        false_hit_rate=_false_hit_rate(audited.hits),
        switched_off=audited.ruling.off,
        decided_by=_LEVELS[level] if level else pb.AUDIT_LEVEL_UNSPECIFIED,
    )


def _false_hit_rate(hits: FalseHits) -> pb.FalseHitRate:
    return pb.FalseHitRate(
        audited_count=hits.audited,
        false_count=hits.false,
        undecided_count=hits.undecided,
        low=hits.low,
        high=hits.high,
    )


def selection_from_proto(request: pb.InvalidateEntriesRequest) -> Selection:
    """Raises `Invalid` for none, or one that names nothing."""
    match request.WhichOneof("selection"):
        case "document_id":
            return Selection(Kind.DOCUMENT, _require("document_id", request.document_id))
        case "erased_document_id":
            return Selection(Kind.ERASED_DOCUMENT, _require("erased_document_id", request.erased_document_id))
        case "entry_id":
            return Selection(Kind.ENTRY, _require("entry_id", request.entry_id))
        case "application_id":
            return Selection(Kind.APPLICATION, _require("application_id", request.application_id))
        case "release":
            application = _require("release.application_id", request.release.application_id)
            return Selection.release(application, _require("release.release_id", request.release.release_id))
        case "question":
            require_question(request.question)
            return Selection.question(request.question)
        case "all" if request.all:
            return Selection(Kind.TENANT)
        case _:
            raise Invalid.field("selection", "must be one of the selections; all must be true")


def selection_to_proto(selection: Selection) -> pb.InvalidateEntriesRequest:
    """The other way; a question comes back in its normal form."""
    name = selection.name
    match selection.kind:
        case Kind.DOCUMENT:
            return pb.InvalidateEntriesRequest(document_id=name)
        case Kind.ERASED_DOCUMENT:
            return pb.InvalidateEntriesRequest(erased_document_id=name)
        case Kind.ENTRY:
            return pb.InvalidateEntriesRequest(entry_id=name)
        case Kind.APPLICATION:
            return pb.InvalidateEntriesRequest(application_id=name)
        case Kind.RELEASE:
            application, release = json.loads(name)
            return pb.InvalidateEntriesRequest(release=ReleaseRef(application_id=application, release_id=release))
        case Kind.QUESTION:
            return pb.InvalidateEntriesRequest(question=name)
        case Kind.TENANT:
            return pb.InvalidateEntriesRequest(all=True)


def _require(field: str, value: str) -> str:
    if not value:
        raise Invalid.field(field, "is empty")
    return value
