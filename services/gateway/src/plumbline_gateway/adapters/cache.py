"""`AnswerCache` on the cache service."""

import grpc

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline_gateway.domain import Embedding, Hit, Lookup, ReleaseRef, Tier
from plumbline_gateway.translation import TIERS, kept_from_proto, release_to_proto, saving_from_proto
from plumbline_kit.rpc import translate

_MISS_REASONS = {
    pb.MISS_REASON_NOT_FOUND: "not_found",
    pb.MISS_REASON_STALE: "stale",
    pb.MISS_REASON_CATCHING_UP: "catching_up",
    pb.MISS_REASON_EXPIRED: "expired",
    pb.MISS_REASON_NEVER_CACHED: "never_cached",
    pb.MISS_REASON_REVALIDATING: "revalidating",
    pb.MISS_REASON_UNREACHABLE: "unreachable",
    pb.MISS_REASON_SWITCHED_OFF: "switched_off",
    pb.MISS_REASON_DIFFERENT: "different",
}


class GrpcAnswerCache:
    """Waits for the cache no longer than *limit_seconds*: it exists to save time."""

    def __init__(self, channel: grpc.aio.Channel, *, limit_seconds: float) -> None:
        self._stub = CacheServiceStub(channel)
        self._limit_seconds = limit_seconds

    async def lookup(self, question: str, release: ReleaseRef, conversation: str) -> Lookup:
        """See `AnswerCache`."""
        request = pb.LookupAnswerRequest(
            question=question, release=release_to_proto(release), conversation=conversation
        )
        try:
            return _lookup(await self._stub.LookupAnswer(request, timeout=self._limit_seconds))
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error


def _lookup(response: pb.LookupAnswerResponse) -> Lookup:
    embedding = _embedding(response)
    if not response.HasField("hit"):
        withheld = _hit(response.withheld) if response.HasField("withheld") else None
        revalidating = response.miss_reason == pb.MISS_REASON_REVALIDATING
        return Lookup(
            miss_reason=_MISS_REASONS.get(response.miss_reason, "unknown"),
            embedding=embedding,
            withheld=None if revalidating else withheld,
            to_revalidate=withheld if revalidating else None,
        )
    return Lookup(_hit(response.hit), embedding=embedding)


def _hit(hit: pb.CacheHit) -> Hit:
    tier = TIERS.get(hit.tier, Tier.SEMANTIC)
    return Hit(
        hit.answer_id,
        kept_from_proto(hit.answer),
        tier,
        hit.entry_id,
        hit.similarity,
        hit.question,
        hit.scope_key,
        saving_from_proto(hit.saving),
    )


def _embedding(response: pb.LookupAnswerResponse) -> Embedding | None:
    if not response.HasField("embedding"):
        return None
    return Embedding(response.embedding.encoder_id, response.embedding.values)
