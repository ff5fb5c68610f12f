"""The contract over a real channel, with callers of two tenants and of different groups."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub, add_CacheServiceServicer_to_server
from plumbline.common.v1.answer_pb2 import Answer, ReleaseRef
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline_cache.adapters.memory import MemoryStore, Ready, WordEncoder
from plumbline_cache.api import SCOPES
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.audit import Audit, Outcome
from plumbline_cache.domain.entry import Cost, Saving, Scope, Source, language_of
from plumbline_cache.domain.freshness import Floor
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.domain.room import Bounds
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.wiring import Parts
from plumbline_contracts.topics import EVALUATION_COMPLETED, INVALIDATION_REQUESTED
from plumbline_kit.bus import MemoryBus, MemoryHistory
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.testing import make_verifier, test_settings, token

LAMP = "What does the lamp cost?"
ANSWER = Answer(text="It costs 12 euros.")


@dataclass
class Caller:
    """One token on one channel."""

    stub: CacheServiceStub
    token: str
    release: Release

    async def call(self, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {self.token}"),)
        return await getattr(self.stub, method)(request, metadata=metadata, timeout=5)

    async def look_up(self, question: str = LAMP, release_id: str | None = None) -> pb.LookupAnswerResponse:
        release = ReleaseRef(
            application_id=self.release.application_id,
            release_id=self.release.id if release_id is None else release_id,
        )
        return await self.call("LookupAnswer", pb.LookupAnswerRequest(question=question, release=release))

    async def invalidate(self, **selection: Any) -> int:
        response = await self.call("InvalidateEntries", pb.InvalidateEntriesRequest(**selection))
        return int(response.invalidated_count)

    async def stats(self) -> pb.GetStatsResponse:
        return await self.call("GetStats", pb.GetStatsRequest())


@dataclass
class Served:
    """A cache behind a port."""

    channel: grpc.aio.Channel
    store: MemoryStore
    bus: MemoryBus
    readiness: Ready
    release: Release
    audits: AuditLedger

    def caller(self, **claims: Any) -> Caller:
        return Caller(CacheServiceStub(self.channel), token(**claims), self.release)

    async def keep(self, question: str = LAMP, groups: tuple[str, ...] = ("sales",), tenant: str = "acme") -> str:
        now = SystemClock().now()
        candidate = Candidate(
            scope=Scope(tenant, groups, self.release.application_id, self.release.id, language_of(question)),
            question=question,
            answer=ANSWER.SerializeToString(),
            answer_id=f"answer to {question}",
            sources=(Source("prices", 1, "h1"),),
            generate_time=now,
            evaluation_id="e1",
            passed=True,
            answered=True,
            saving=Saving(170, 40, 1.5, (Cost("EUR", 0.02),)),
        )
        self.store.put(candidate.admitted(now, timedelta(hours=2)), await WordEncoder().encode(question))
        return candidate.entry_id


def audit(number: int, outcome: Outcome) -> Audit:
    """Of a hit of the tenant acme."""
    now = SystemClock().now()
    return Audit(now, str(number), "key", "acme", Tier.SEMANTIC, "entry", 0.97, outcome)


@pytest.fixture
async def served(release: Release) -> AsyncIterator[Served]:
    bus, store, readiness = MemoryBus(), MemoryStore(), Ready()
    parts = Parts(
        store, WordEncoder(), WordEncoder.id, WordEncoder.dimensions, bus, release, SystemClock(), Bounds(1000, 500)
    )
    server = Server(test_settings("cache"), make_verifier(), scopes=SCOPES)
    add_CacheServiceServicer_to_server(parts.api(readiness, MemoryHistory(bus)), server.grpc)
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        yield Served(channel, store, bus, readiness, release, parts.audits)
    await server.stop(1)
    parts.close()


async def test_a_hit_carries_the_answer_and_where_it_is_from(served: Served) -> None:
    entry_id = await served.keep()
    response = await served.caller(groups=["sales"]).look_up("what does the LAMP cost")
    hit = response.hit
    assert hit.answer == ANSWER
    assert (hit.entry_id, hit.answer_id, hit.question) == (entry_id, f"answer to {LAMP}", LAMP)
    assert (hit.tier, hit.similarity) == (pb.CACHE_TIER_EXACT, 1.0)
    assert hit.admit_time.seconds > 0
    assert hit.expire_time.seconds == hit.admit_time.seconds + 7200
    assert (hit.saving.prompt_tokens, hit.saving.completion_tokens) == (170, 40)
    assert hit.saving.time.ToTimedelta() == timedelta(seconds=1.5)
    assert [(cost.currency_code, cost.amount) for cost in hit.saving.costs] == [("EUR", 0.02)]
    assert not response.HasField("embedding")


async def test_a_miss_carries_the_vector_and_its_encoder(served: Served) -> None:
    response = await served.caller().look_up()
    assert not response.HasField("hit")
    assert response.miss_reason == pb.MISS_REASON_NOT_FOUND
    assert response.embedding.encoder_id == WordEncoder.id
    assert len(response.embedding.values) == 384


@pytest.mark.parametrize(
    "claims", [{"tenant": "globex", "groups": ["sales"]}, {"groups": []}, {"groups": ["sales", "hr"]}]
)
async def test_other_tenants_and_groups_miss(served: Served, claims: dict[str, Any]) -> None:
    await served.keep()
    assert not (await served.caller(**claims).look_up()).HasField("hit")


async def test_another_release_misses(served: Served) -> None:
    await served.keep()
    assert not (await served.caller(groups=["sales"]).look_up(release_id="0" * 12)).HasField("hit")


async def test_a_stale_entry_and_a_cache_that_catches_up_say_so(served: Served) -> None:
    await served.keep()
    served.store.keep_floor(Floor("acme", "prices", 2))
    caller = served.caller(groups=["sales"])
    assert (await caller.look_up()).miss_reason == pb.MISS_REASON_STALE
    served.readiness.caught_up = False
    assert (await caller.look_up()).miss_reason == pb.MISS_REASON_CATCHING_UP


@pytest.mark.parametrize(("question", "release_id"), [("", None), (" \n ", None), ("x" * 8_001, None), ("Why?", "")])
async def test_a_bad_lookup_is_invalid(served: Served, question: str, release_id: str | None) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.caller().look_up(question, release_id)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"all": False},
        *({name: ""} for name in ("document_id", "entry_id", "application_id", "question", "erased_document_id")),
        {"release": ReleaseRef(application_id="default")},
        {"question": "x" * 8_001},
    ],
)
async def test_dropping_nothing_in_particular_is_invalid(served: Served, selection: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.caller().invalidate(**selection)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_entries_are_dropped_by_hand_within_the_tenant(served: Served) -> None:
    entry_id = await served.keep()
    await served.keep("Another question?", groups=())
    await served.keep(tenant="globex")
    caller = served.caller()
    assert await served.caller(tenant="globex").invalidate(entry_id=entry_id) == 0
    assert await caller.invalidate(entry_id=entry_id) == 1
    assert await caller.invalidate(document_id="prices") == 1
    assert await caller.invalidate(all=True) == 0
    assert served.store.count("globex") == 1
    requests = [record.body for record in served.bus.records(INVALIDATION_REQUESTED)]
    assert [(body.tenant_id, body.request.WhichOneof("selection")) for body in requests if body] == [
        ("globex", "entry_id"),
        ("acme", "entry_id"),
        ("acme", "document_id"),
        ("acme", "all"),
    ]


@pytest.mark.parametrize(
    ("selection", "dropped"),
    [
        ({"question": " what does the LAMP cost"}, 2),
        ({"question": "What does the desk cost?"}, 0),
        ({"application_id": "default"}, 3),
        ({"application_id": "shop"}, 0),
        ({"release": ReleaseRef(application_id="default", release_id="r0")}, 0),
        ({"erased_document_id": "prices"}, 3),
        ({"erased_document_id": "manual"}, 0),
    ],
)
async def test_what_is_named_is_dropped_in_every_scope_of_the_tenant(
    served: Served, selection: dict[str, Any], dropped: int
) -> None:
    await served.keep()
    await served.keep(groups=())
    await served.keep("Another question?")
    assert await served.caller().invalidate(**selection) == dropped
    assert served.store.count("acme") == 3 - dropped


async def test_a_release_is_dropped_by_both_its_ids(served: Served) -> None:
    await served.keep()
    release = ReleaseRef(application_id=served.release.application_id, release_id=served.release.id)
    assert await served.caller().invalidate(release=release) == 1


async def test_stats_are_those_of_the_callers_tenant(served: Served) -> None:
    await served.keep()
    caller = served.caller(groups=["sales"])
    await caller.look_up()
    await caller.look_up("Something else?")
    await caller.invalidate(all=True)
    stats = await caller.stats()
    assert (stats.entry_count, stats.exact_hit_count, stats.miss_count, stats.invalidated_count) == (0, 1, 1, 1)
    others = await served.caller(tenant="globex").stats()
    assert (others.exact_hit_count, others.miss_count, others.invalidated_count, len(others.scopes)) == (0, 0, 0, 0)


async def test_stats_tell_what_hits_saved_scope_by_scope(served: Served) -> None:
    entry_id = await served.keep()
    caller = served.caller(groups=["sales"])
    for _ in range(2):
        await caller.look_up()
    await served.caller(groups=["hr"]).look_up()
    await caller.invalidate(entry_id=entry_id)
    stats = await caller.stats()
    assert stats.since_time.ToDatetime(UTC) <= SystemClock().now()
    assert (stats.saved.prompt_tokens, stats.saved.completion_tokens) == (340, 80)
    assert stats.saved.time.ToTimedelta() == timedelta(seconds=3)
    assert [(cost.currency_code, cost.amount) for cost in stats.saved.costs] == [("EUR", 0.04)]
    sales, hr = stats.scopes
    assert (sales.groups, sales.language, sales.release.release_id) == (["sales"], "en", served.release.id)
    assert (sales.exact_hit_count, dict(sales.invalidated_counts)) == (2, {"by_hand": 1})
    assert sales.saved == stats.saved
    assert (hr.groups, dict(hr.miss_counts), hr.saved.prompt_tokens) == (["hr"], {"not_found": 1}, 0)
    assert sales.scope_key != hr.scope_key


async def test_stats_tell_what_audits_of_the_tenants_hits_found_and_what_follows(served: Served) -> None:
    for number in range(20):
        served.audits.add(audit(number, Outcome.DIFFERENT if number < 5 else Outcome.SAME))
    stats = await served.caller().stats()
    [scope] = stats.audited_scopes
    assert (scope.scope_key, scope.switched_off, scope.decided_by) == ("key", True, pb.AUDIT_LEVEL_SCOPE)
    assert scope.false_hit_rate == stats.false_hit_rate
    assert (stats.false_hit_rate.audited_count, stats.false_hit_rate.false_count) == (20, 5)
    assert 0.1 < stats.false_hit_rate.low < 0.25 < stats.false_hit_rate.high < 0.5
    assert stats.exact_false_hit_rate.high == 1
    others = await served.caller(tenant="globex").stats()
    assert (len(others.audited_scopes), others.false_hit_rate.audited_count) == (0, 0)


async def test_a_miss_of_a_tier_that_is_off_carries_what_it_withholds(served: Served) -> None:
    question = "What does the old red lamp in the left window of the new shop at our corner cost?"
    near, caller = question.replace("the old", "old"), served.caller(groups=["sales"])
    entry_id = await served.keep(question)
    assert (await caller.look_up(near)).hit.tier == pb.CACHE_TIER_SEMANTIC
    for number in range(20):
        served.audits.add(replace(audit(number, Outcome.DIFFERENT), entry_id="another"))
    response = await caller.look_up(near)
    assert not response.HasField("hit")
    assert response.miss_reason == pb.MISS_REASON_SWITCHED_OFF
    assert (response.withheld.entry_id, response.withheld.tier) == (entry_id, pb.CACHE_TIER_SEMANTIC)
    assert response.HasField("embedding")
    assert (await caller.look_up(question)).hit.tier == pb.CACHE_TIER_EXACT


@pytest.mark.parametrize("method", [method.rpartition("/")[2] for method in SCOPES])
async def test_every_method_needs_its_scope(served: Served, method: str) -> None:
    request = {
        "LookupAnswer": pb.LookupAnswerRequest(question="Why?"),
        "InvalidateEntries": pb.InvalidateEntriesRequest(all=True),
        "GetStats": pb.GetStatsRequest(),
        "ListTopEntries": pb.ListTopEntriesRequest(),
        "ExplainLookup": pb.ExplainLookupRequest(question="Why?"),
        "WarmEntries": pb.WarmEntriesRequest(),
    }[method]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.caller(scopes="evaluate").call(method, request)
    assert failure.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_entries_served_most_are_listed_with_what_a_hit_saves(served: Served) -> None:
    await served.keep("Another question?")
    entry_id = await served.keep()
    await served.keep("Secret?", groups=("hr",))
    await served.keep("Theirs?", tenant="globex")
    caller = served.caller(groups=["sales"])
    await caller.look_up()
    listed = await caller.call("ListTopEntries", pb.ListTopEntriesRequest(page_size=1))
    [first] = listed.entries
    assert (first.entry_id, first.question, first.hit_count) == (entry_id, LAMP, 1)
    assert (first.saving.completion_tokens, first.document_ids, first.groups) == (40, ["prices"], ["sales"])
    assert listed.hidden_count == 1
    everything = await caller.call("ListTopEntries", pb.ListTopEntriesRequest(order=pb.TOP_ORDER_NEWEST))
    assert {entry.question for entry in everything.entries} == {LAMP, "Another question?"}


async def test_a_page_of_too_many_entries_is_invalid(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.caller().call("ListTopEntries", pb.ListTopEntriesRequest(page_size=101))
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_lookup_is_explained_without_being_counted(served: Served) -> None:
    entry_id = await served.keep()
    caller = served.caller(groups=["sales"])
    told = await caller.call("ExplainLookup", pb.ExplainLookupRequest(question="what does the LAMP cost"))
    assert (told.tier, told.miss_reason) == (pb.CACHE_TIER_EXACT, pb.MISS_REASON_UNSPECIFIED)
    assert (told.release.release_id, told.groups, told.language) == (served.release.id, ["sales"], "en")
    [own] = told.entries
    assert (own.entry_id, own.tier, own.question) == (entry_id, pb.CACHE_TIER_EXACT, LAMP)
    assert {check.name: check.passed for check in own.checks} == {
        "normal form": True,
        "time to live": True,
        "sources": True,
        "new passages": True,
        "wanted": True,
    }
    stranger = await served.caller(groups=["hr"]).call("ExplainLookup", pb.ExplainLookupRequest(question=LAMP))
    assert (len(stranger.entries), stranger.miss_reason) == (0, pb.MISS_REASON_NOT_FOUND)
    stats = await caller.stats()
    assert (stats.exact_hit_count, stats.miss_count) == (0, 0)


async def test_answers_that_were_evaluated_before_come_in_when_the_cache_is_warmed(
    served: Served, evaluated: Callable[..., EvaluationCompleted]
) -> None:
    for number, tenant in enumerate(["acme", "acme", "globex"]):
        event = evaluated(("prices", 1, "h1"), answer_id=f"a{number}", question=f"Question {number}?", tenant=tenant)
        event.subject.generate_time.GetCurrentTime()
        await served.bus.publish(EVALUATION_COMPLETED, event.subject.answer_id, event)
    caller = served.caller(groups=["sales"])
    warmed = await caller.call("WarmEntries", pb.WarmEntriesRequest())
    assert (warmed.read_count, warmed.admitted_count, warmed.whole) == (2, 2, True)
    assert (await caller.look_up("Question 1?")).HasField("hit")
    assert served.store.count("globex") == 0


async def test_warming_has_a_bound(served: Served) -> None:
    request = pb.WarmEntriesRequest()
    request.maximum_time.FromSeconds(301)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.caller().call("WarmEntries", request)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
