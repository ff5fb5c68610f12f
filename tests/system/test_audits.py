"""Hits that are answered afresh too, on the whole platform: what is told of them, and what follows."""

import uuid
from dataclasses import dataclass

from plumbline.cache.v1 import cache_events_pb2 as events_pb
from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.common.v1.answer_pb2 import Answer, Passage
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline_contracts.topics import AUDIT_REQUESTED, HIT_AUDITED
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import load_release
from plumbline_kit.sampling import is_sampled
from plumbline_kit.testing import eventually
from tests.conftest import System
from tests.driver import Driver, read_all

WRONG_HITS = 12


@dataclass(frozen=True)
class Lamp:
    """A lamp that nobody has heard of, of a tenant that nobody else is, and two ways to ask for its price."""

    name: str
    driver: Driver

    @property
    def question(self) -> str:
        return f"How much does the {self.name} lamp cost?"

    @property
    def near(self) -> str:
        return f"Please tell me, how much does the {self.name} lamp cost?"

    async def look_up(self, system: System) -> cache_pb.LookupAnswerResponse:
        """What the cache has for the near question."""
        release = load_release(system.layout.release_file)
        ref = {"application_id": release.application_id, "release_id": release.id}
        return await self.driver.cache.LookupAnswer(
            cache_pb.LookupAnswerRequest(question=self.near, release=ref), timeout=5
        )

    async def near_hit(self, system: System) -> cache_pb.CacheHit | None:
        response = await self.look_up(system)
        return response.hit if response.hit.tier == cache_pb.CACHE_TIER_SEMANTIC else None


async def a_cached_lamp(system: System) -> Lamp:
    name = f"Zephyr{uuid.uuid4().hex[:8]}"
    lamp = Lamp(name, system.caller(tenant=f"tenant-{name.lower()}"))
    await lamp.driver.submit_and_wait(name, name, f"The {name} lamp costs 41 euros.")
    await lamp.driver.ask(lamp.question)
    await eventually(lambda: lamp.near_hit(system), seconds=20)
    return lamp


def audited(system: System, served_answer_id: str) -> events_pb.HitAudited | None:
    """What was told of the audit of that answer."""
    facts = [
        events_pb.HitAudited.FromString(body) for _, body in read_all(system.layout.address("kafka"), HIT_AUDITED.name)
    ]
    return next((fact for fact in facts if fact.served_answer_id == served_answer_id), None)


async def test_a_near_hit_is_answered_afresh_and_the_finding_tells_the_rate_with_its_interval(system: System) -> None:
    lamp, share = await a_cached_lamp(system), load_release(system.layout.release_file).cache.audit_share
    served = await lamp.driver.ask(lamp.near)
    while not is_sampled(served.answer_id, share):
        assert served.origin == gateway_pb.ANSWER_ORIGIN_CACHED
        served = await lamp.driver.ask(lamp.near)

    fact = await eventually(lambda: audited(system, served.answer_id), seconds=20)
    assert (fact.outcome, fact.question) == (events_pb.AUDIT_OUTCOME_SAME, lamp.near)
    assert (fact.hit.tier, fact.hit.stored_question) == (cache_pb.CACHE_TIER_SEMANTIC, lamp.question)
    assert fact.fresh_answer_id not in ("", served.answer_id, served.cached_answer_id)
    rate = fact.false_hit_rate
    assert (rate.audited_count, rate.false_count) == (1, 0)
    assert 0 == rate.low < rate.high < 1
    stats = await eventually(lambda: lamp.driver.cache_stats())
    assert stats.false_hit_rate == rate


async def test_wrong_hits_switch_the_near_tier_off_for_their_tenant_and_what_is_withheld_is_audited_on(
    system: System,
) -> None:
    lamp = await a_cached_lamp(system)
    hit = await lamp.near_hit(system)
    assert hit is not None
    await tell_of_wrong_hits(system, lamp, hit)

    async def switched_off() -> cache_pb.LookupAnswerResponse | None:
        response = await lamp.look_up(system)
        return response if response.miss_reason == cache_pb.MISS_REASON_SWITCHED_OFF else None

    response = await eventually(switched_off, seconds=20)
    assert response.withheld.entry_id == hit.entry_id
    [scope] = (await lamp.driver.cache_stats()).audited_scopes
    assert (scope.switched_off, scope.scope_key) == (True, hit.scope_key)
    assert scope.false_hit_rate.low > 0.03

    served = await lamp.driver.ask(lamp.near)
    assert served.origin == gateway_pb.ANSWER_ORIGIN_GENERATED
    fact = await eventually(lambda: audited(system, served.answer_id), seconds=20)
    assert (fact.hit.withheld, fact.outcome) == (True, events_pb.AUDIT_OUTCOME_SAME)
    assert (await lamp.driver.ask(lamp.question)).origin == gateway_pb.ANSWER_ORIGIN_CACHED


async def tell_of_wrong_hits(system: System, lamp: Lamp, hit: cache_pb.CacheHit) -> None:
    """As the gateway tells of hits that were answered afresh: another entry's answers, all wrong."""
    publisher = KafkaPublisher(system.layout.address("kafka"), source="test", clock=SystemClock())
    release = load_release(system.layout.release_file)
    passage = Passage(title="Borealis", text="The Borealis chair weighs 9 kilograms.")
    for number in range(WRONG_HITS):
        fact = events_pb.AuditRequested(
            audit_id=f"{lamp.name}-{number}",
            tenant_id=f"tenant-{lamp.name.lower()}",
            release={"application_id": release.application_id, "release_id": release.id},
            question=lamp.near,
            served_answer_id=f"{lamp.name}-{number}",
            hit=events_pb.AuditedHit(
                entry_id="another", tier=cache_pb.CACHE_TIER_SEMANTIC, similarity=0.9, scope_key=hit.scope_key
            ),
            cached_answer=Answer(text="It weighs 9 kilograms.", sources=[passage]),
            fresh_answer=hit.answer,
        )
        fact.request_time.FromDatetime(SystemClock().now())
        await publisher.publish(AUDIT_REQUESTED, fact.tenant_id, fact, event_id=fact.audit_id)
    await publisher.close()
