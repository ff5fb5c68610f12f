"""`AnswerCache` on the cache service."""

import asyncio
from typing import Final

import grpc

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline_gateway.domain import Embedding, Hit, Lookup, ReleaseRef, Tier
from plumbline_gateway.translation import TIERS, kept_from_proto, release_to_proto, saving_from_proto
from plumbline_kit.errors import DeadlineExceeded
from plumbline_kit.rpc import current_call, translate

LOOKUP_SHARE: Final = 0.25
"""Of the caller's time that a lookup may take: without it the question is still answered."""
LOOKS: Final = 3
"""How often it is looked, within the limit, whether the cache answers: a long turn of a busy event loop counts once."""

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
    """Gives up on a cache that answers nobody for *limit_seconds*: it exists to save time.

    Waiting while it answers others is no fault: to generate takes longer, and most where everybody waits.
    """

    def __init__(self, channel: grpc.aio.Channel, *, limit_seconds: float) -> None:
        self._stub = CacheServiceStub(channel)
        self._limit_seconds = limit_seconds
        self._answered = 0

    async def lookup(self, question: str, release: ReleaseRef, conversation: str) -> Lookup:
        """See `AnswerCache`."""
        request = pb.LookupAnswerRequest(
            question=question, release=release_to_proto(release), conversation=conversation
        )
        call = asyncio.ensure_future(
            self._stub.LookupAnswer(request, timeout=LOOKUP_SHARE * current_call().remaining())
        )
        try:
            await self._wait(call)
            return _lookup(call.result())
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        finally:
            call.cancel()

    async def _wait(self, call: asyncio.Future[pb.LookupAnswerResponse]) -> None:
        quiet = 0
        while quiet < LOOKS:
            answered = self._answered
            done, _ = await asyncio.wait({call}, timeout=self._limit_seconds / LOOKS)
            if done:
                self._answered += 1
                return
            quiet = quiet + 1 if self._answered == answered else 0
        raise DeadlineExceeded(f"the cache has answered nobody for {self._limit_seconds:g} s")


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
