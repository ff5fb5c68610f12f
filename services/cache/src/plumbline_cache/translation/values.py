"""Values that more than one message holds."""

from datetime import timedelta
from typing import Final

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline.generation.v1.generation_service_pb2 import Cost
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.domain.lookup import MissReason, Tier

TIERS: Final = {Tier.EXACT: pb.CACHE_TIER_EXACT, Tier.SEMANTIC: pb.CACHE_TIER_SEMANTIC}
MISS_REASONS: Final = {
    MissReason.NOT_FOUND: pb.MISS_REASON_NOT_FOUND,
    MissReason.STALE: pb.MISS_REASON_STALE,
    MissReason.CATCHING_UP: pb.MISS_REASON_CATCHING_UP,
    MissReason.EXPIRED: pb.MISS_REASON_EXPIRED,
    MissReason.REVALIDATING: pb.MISS_REASON_REVALIDATING,
    MissReason.NEVER_CACHED: pb.MISS_REASON_NEVER_CACHED,
    MissReason.UNREACHABLE: pb.MISS_REASON_UNREACHABLE,
    MissReason.SWITCHED_OFF: pb.MISS_REASON_SWITCHED_OFF,
    MissReason.DIFFERENT: pb.MISS_REASON_DIFFERENT,
}


def release_to_proto(scope: Scope) -> ReleaseRef:
    """The release whose answers the scope holds."""
    return ReleaseRef(application_id=scope.application, release_id=scope.release)


def saving_to_proto(saving: Saving) -> pb.Saving:
    """What a generation took."""
    costs = [Cost(currency_code=cost.currency, amount=cost.amount) for cost in saving.costs]
    told = pb.Saving(prompt_tokens=saving.prompt_tokens, completion_tokens=saving.completion_tokens, costs=costs)
    told.time.FromTimedelta(timedelta(seconds=saving.seconds))
    return told
