"""Entries as an operator sees them."""

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline_cache.domain.explanation import Check, Explained, Explanation
from plumbline_cache.domain.lookup import Hit
from plumbline_cache.handlers.top import Top, TopEntry
from plumbline_cache.handlers.warm import Warmed
from plumbline_cache.translation.values import MISS_REASONS, TIERS, release_to_proto, saving_to_proto


def top_to_proto(top: Top) -> pb.ListTopEntriesResponse:
    """The first entries."""
    return pb.ListTopEntriesResponse(entries=map(_top_entry, top.entries), hidden_count=top.hidden)


def _top_entry(top: TopEntry) -> pb.TopEntry:
    entry = top.entry
    message = pb.TopEntry(
        entry_id=entry.id,
        answer_id=entry.answer_id,
        question=entry.question,
        release=release_to_proto(entry.scope),
        groups=entry.scope.groups,
        hit_count=top.hits,
        saving=saving_to_proto(entry.saving),
        document_ids=entry.documents,
    )
    message.admit_time.FromDatetime(entry.admit_time)
    message.expire_time.FromDatetime(entry.expire_time)
    return message


def warmed_to_proto(warmed: Warmed) -> pb.WarmEntriesResponse:
    """Counts of answers by what became of them."""
    return pb.WarmEntriesResponse(
        read_count=warmed.read,
        admitted_count=warmed.admitted,
        held_count=warmed.held,
        refused_counts={refusal.value: count for refusal, count in warmed.refused.items()},
        whole=warmed.whole,
    )


def explanation_to_proto(explanation: Explanation) -> pb.ExplainLookupResponse:
    """All that decided."""
    scope, result = explanation.scope, explanation.result
    message = pb.ExplainLookupResponse(
        normal_form=explanation.normal_form,
        release=release_to_proto(scope),
        groups=scope.groups,
        language=scope.language,
        scope_key=scope.key,
        semantic_threshold=explanation.semantic_threshold,
        entries=map(_explained, explanation.entries),
    )
    if explanation.never_cached is not None:
        message.never_cached_class = explanation.never_cached.value
    if isinstance(result, Hit):
        message.tier = TIERS[result.tier]
    else:
        message.miss_reason = MISS_REASONS[result.reason]
    return message


def _explained(explained: Explained) -> pb.ExplainedEntry:
    entry = explained.entry
    message = pb.ExplainedEntry(
        entry_id=entry.id,
        answer_id=entry.answer_id,
        question=entry.question,
        tier=TIERS[explained.tier],
        similarity=explained.similarity,
        checks=map(_check, explained.checks),
    )
    message.expire_time.FromDatetime(entry.expire_time)
    return message


def _check(check: Check) -> pb.LookupCheck:
    return pb.LookupCheck(name=check.name, passed=check.passed, detail=check.detail)
