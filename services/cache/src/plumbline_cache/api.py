"""gRPC in: translate, call the use case, translate back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import grpc

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceServicer
from plumbline.common.v1.answer_pb2 import Answer, Embedding
from plumbline_cache.domain.entry import Scope, Vector, language_of
from plumbline_cache.domain.lookup import Hit, Miss, MissReason, Tier
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.invalidate import Everything, InvalidateEntries, OfDocument, OneEntry, Selection
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.ports import EntryReader
from plumbline_cache.translation import audits_to_proto, saving_to_proto, stats_to_proto
from plumbline_kit.errors import Invalid
from plumbline_kit.identity import Identity
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, names

SCOPES: Final = {
    "/plumbline.cache.v1.CacheService/LookupAnswer": "ask",
    "/plumbline.cache.v1.CacheService/InvalidateEntries": "cache.write",
    "/plumbline.cache.v1.CacheService/GetStats": "cache.read",
}

_TIERS: Final = {Tier.EXACT: pb.CACHE_TIER_EXACT, Tier.SEMANTIC: pb.CACHE_TIER_SEMANTIC}
_MISS_REASONS: Final = {
    MissReason.NOT_FOUND: pb.MISS_REASON_NOT_FOUND,
    MissReason.STALE: pb.MISS_REASON_STALE,
    MissReason.CATCHING_UP: pb.MISS_REASON_CATCHING_UP,
    MissReason.EXPIRED: pb.MISS_REASON_EXPIRED,
    MissReason.NEVER_CACHED: pb.MISS_REASON_NEVER_CACHED,
    MissReason.SWITCHED_OFF: pb.MISS_REASON_SWITCHED_OFF,
}


@dataclass(frozen=True)
class CacheService(CacheServiceServicer):
    """The contract on the use cases. Tenant and groups come from the token alone."""

    lookup: LookupAnswer
    invalidate: InvalidateEntries
    entries: EntryReader
    tallies: Tallies
    audits: AuditLedger
    encoder_id: str
    since: datetime
    """When counting began."""

    async def LookupAnswer(
        self, request: pb.LookupAnswerRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.LookupAnswerResponse:
        """See the contract."""
        scope = _scope(current_call().identity, request)
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
        count = await self.invalidate(current_call().identity.tenant, _selection(request))
        return pb.InvalidateEntriesResponse(invalidated_count=count)

    async def GetStats(
        self, request: pb.GetStatsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetStatsResponse:
        """See the contract."""
        tenant = current_call().identity.tenant
        response = stats_to_proto(self.tallies.total(tenant), self.tallies.of(tenant), self.entries.count(tenant))
        response.since_time.FromDatetime(self.since)
        response.MergeFrom(audits_to_proto(self.audits, tenant))
        return response

    def _embedding(self, vector: Vector) -> Embedding:
        return Embedding(encoder_id=self.encoder_id, values=vector.tolist())


def _scope(identity: Identity, request: pb.LookupAnswerRequest) -> Scope:
    release = request.release
    if not (release.application_id and release.release_id):
        raise Invalid.field("release", "must name an application and its release")
    language = language_of(request.question)
    return Scope(identity.tenant, identity.groups, release.application_id, release.release_id, language)


def _selection(request: pb.InvalidateEntriesRequest) -> Selection:
    match request.WhichOneof("selection"):
        case "document_id":
            return OfDocument(_named("document_id", request.document_id))
        case "entry_id":
            return OneEntry(_named("entry_id", request.entry_id))
        case "all" if request.all:
            return Everything()
        case _:
            raise Invalid.field("selection", "must be a document, an entry, or all set to true")


def _named(field: str, value: str) -> str:
    if not value:
        raise Invalid.field(field, "is empty")
    return value


def _hit_response(hit: Hit) -> pb.LookupAnswerResponse:
    return pb.LookupAnswerResponse(hit=_cache_hit(hit))


def _cache_hit(hit: Hit) -> pb.CacheHit:
    entry = hit.entry
    found = pb.CacheHit(
        entry_id=entry.id,
        answer_id=entry.answer_id,
        question=entry.question,
        answer=Answer.FromString(entry.answer),
        tier=_TIERS[hit.tier],
        similarity=hit.similarity,
        scope_key=entry.scope.key,
        saving=saving_to_proto(entry.saving),
    )
    found.expire_time.FromDatetime(entry.expire_time)
    found.admit_time.FromDatetime(entry.admit_time)
    return found


def _miss_response(miss: Miss) -> pb.LookupAnswerResponse:
    withheld = None if miss.withheld is None else _cache_hit(miss.withheld)
    return pb.LookupAnswerResponse(miss_reason=_MISS_REASONS[miss.reason], withheld=withheld)


def _attributes(result: Hit | Miss) -> dict[str, str | float]:
    if isinstance(result, Miss):
        return {names.CACHE_MISS_REASON: result.reason.value}
    return {
        names.CACHE_TIER: result.tier.value,
        names.CACHE_SIMILARITY: result.similarity,
        names.CACHE_ENTRY_ID: result.entry.id,
        names.CACHED_ANSWER_ID: result.entry.answer_id,
    }
