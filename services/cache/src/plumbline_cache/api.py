"""gRPC in: translate, call the use case, translate back."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import grpc

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceServicer
from plumbline.common.v1.answer_pb2 import Answer, Embedding, ReleaseRef
from plumbline_cache.domain.entry import Scope, Vector, language_of, require_question
from plumbline_cache.domain.lookup import Hit, Miss
from plumbline_cache.domain.room import Bounds
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.explain import ExplainLookup
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.top import ListTopEntries, Order
from plumbline_cache.handlers.warm import WarmEntries
from plumbline_cache.handlers.withdraw import InvalidateEntries
from plumbline_cache.ports import EntryReader
from plumbline_cache.translation.entries import explanation_to_proto, top_to_proto, warmed_to_proto
from plumbline_cache.translation.selections import selection_from_proto
from plumbline_cache.translation.stats import audits_to_proto, stats_to_proto
from plumbline_cache.translation.values import MISS_REASONS, TIERS, saving_to_proto
from plumbline_kit.errors import Invalid
from plumbline_kit.identity import Identity
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, names

PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100
WARMING_SECONDS: Final = 30.0
MAX_WARMING_SECONDS: Final = 300.0

MAX_CONVERSATION_CHARACTERS: Final = 64

SCOPES: Final = {
    "/plumbline.cache.v1.CacheService/LookupAnswer": "ask",
    "/plumbline.cache.v1.CacheService/InvalidateEntries": "cache.write",
    "/plumbline.cache.v1.CacheService/GetStats": "cache.read",
    "/plumbline.cache.v1.CacheService/ListTopEntries": "cache.read",
    "/plumbline.cache.v1.CacheService/ExplainLookup": "cache.read",
    "/plumbline.cache.v1.CacheService/WarmEntries": "cache.write",
}

_ORDERS: Final = {pb.TOP_ORDER_SAVED_TIME: Order.SAVED_TIME, pb.TOP_ORDER_NEWEST: Order.NEWEST}


@dataclass(frozen=True)
class CacheService(CacheServiceServicer):
    """The contract on the use cases. Tenant and groups come from the token alone."""

    lookup: LookupAnswer
    invalidate: InvalidateEntries
    explain: ExplainLookup
    top: ListTopEntries
    warm: WarmEntries
    entries: EntryReader
    tallies: Tallies
    audits: AuditLedger
    bounds: Bounds
    encoder_id: str
    release: ReleaseRef
    """Whose answers are taken in."""
    since: datetime
    """When counting began."""

    async def LookupAnswer(
        self, request: pb.LookupAnswerRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.LookupAnswerResponse:
        """See the contract."""
        scope = _scope(current_call().identity, request.release, request.question, request.conversation)
        result = await self.lookup(scope, request.question)
        annotate(_attributes(result))
        response = _hit_response(result) if isinstance(result, Hit) else _miss_response(result)
        if result.vector is not None:
            response.embedding.CopyFrom(self._embedding(result.vector))
        return response

    async def InvalidateEntries(
        self, request: pb.InvalidateEntriesRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.InvalidateEntriesResponse:
        """See the contract."""
        done = await self.invalidate(current_call().identity.tenant, selection_from_proto(request))
        return pb.InvalidateEntriesResponse(invalidated_count=done.dropped, invalidation_id=done.id)

    async def GetStats(
        self, request: pb.GetStatsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetStatsResponse:
        """See the contract."""
        tenant = current_call().identity.tenant
        held = await self.lookup.readers.run(partial(self.entries.count, tenant))
        response = stats_to_proto(self.tallies.total(tenant), self.tallies.of(tenant), held)
        response.since_time.FromDatetime(self.since)
        response.maximum_entry_count = self.bounds.per_tenant
        response.MergeFrom(audits_to_proto(self.audits, tenant))
        return response

    async def ListTopEntries(
        self, request: pb.ListTopEntriesRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListTopEntriesResponse:
        """See the contract."""
        identity = current_call().identity
        order = _ORDERS.get(request.order, Order.HITS)
        return top_to_proto(await self.top(identity.tenant, identity.groups, order, _page_size(request.page_size)))

    async def WarmEntries(
        self, request: pb.WarmEntriesRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.WarmEntriesResponse:
        """See the contract."""
        return warmed_to_proto(await self.warm(current_call().identity.tenant, _warming_seconds(request)))

    async def ExplainLookup(
        self, request: pb.ExplainLookupRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.ExplainLookupResponse:
        """See the contract."""
        release = request.release if request.HasField("release") else self.release
        scope = _scope(current_call().identity, release, request.question)
        return explanation_to_proto(await self.explain(scope, request.question))

    def _embedding(self, vector: Vector) -> Embedding:
        return Embedding(encoder_id=self.encoder_id, values=vector.tolist())


def _scope(identity: Identity, release: ReleaseRef, question: str, conversation: str = "") -> Scope:
    if not (release.application_id and release.release_id):
        raise Invalid.field("release", "must name an application and its release")
    if len(conversation) > MAX_CONVERSATION_CHARACTERS:
        raise Invalid.field("conversation", f"is longer than {MAX_CONVERSATION_CHARACTERS} characters")
    require_question(question)
    who = (identity.tenant, identity.groups, release.application_id, release.release_id)
    return Scope(*who, language_of(question), conversation)


def _warming_seconds(request: pb.WarmEntriesRequest) -> float:
    seconds = request.maximum_time.ToTimedelta().total_seconds()
    if not 0 <= seconds <= MAX_WARMING_SECONDS:
        raise Invalid.field(
            "maximum_time", f"must be at most {MAX_WARMING_SECONDS:g} s, or 0 for {WARMING_SECONDS:g} s"
        )
    return seconds or WARMING_SECONDS


def _page_size(asked: int) -> int:
    if not 0 <= asked <= MAX_PAGE_SIZE:
        raise Invalid.field("page_size", f"must be at most {MAX_PAGE_SIZE}, or 0 for {PAGE_SIZE}")
    return asked or PAGE_SIZE


def _hit_response(hit: Hit) -> pb.LookupAnswerResponse:
    return pb.LookupAnswerResponse(hit=_cache_hit(hit))


def _cache_hit(hit: Hit) -> pb.CacheHit:
    entry = hit.entry
    found = pb.CacheHit(
        entry_id=entry.id,
        answer_id=entry.answer_id,
        question=entry.question,
        answer=Answer.FromString(entry.answer),
        tier=TIERS[hit.tier],
        similarity=hit.similarity,
        scope_key=entry.scope.key,
        saving=saving_to_proto(entry.saving),
    )
    found.expire_time.FromDatetime(entry.expire_time)
    found.admit_time.FromDatetime(entry.admit_time)
    return found


def _miss_response(miss: Miss) -> pb.LookupAnswerResponse:
    withheld = None if miss.withheld is None else _cache_hit(miss.withheld)
    return pb.LookupAnswerResponse(miss_reason=MISS_REASONS[miss.reason], withheld=withheld)


def _attributes(result: Hit | Miss) -> dict[str, str | float]:
    if isinstance(result, Miss):
        return {names.CACHE_MISS_REASON: result.reason.value}
    return {
        names.CACHE_TIER: result.tier.value,
        names.CACHE_SIMILARITY: result.similarity,
        names.CACHE_ENTRY_ID: result.entry.id,
        names.CACHED_ANSWER_ID: result.entry.answer_id,
    }
