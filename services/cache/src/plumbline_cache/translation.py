"""Domain to contract, for every way out."""

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline_cache.domain.audit import FalseHits


def false_hit_rate(hits: FalseHits) -> pb.FalseHitRate:
    """A rate with its interval."""
    return pb.FalseHitRate(
        audited_count=hits.audited,
        false_count=hits.false,
        undecided_count=hits.undecided,
        low=hits.low,
        high=hits.high,
    )
