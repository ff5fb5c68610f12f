"""Audits from the event log to the next lookup, on the bus in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.cache.v1 import cache_service_pb2 as service_pb
from plumbline.common.v1.answer_pb2 import Answer, Passage, ReleaseRef
from plumbline_cache.adapters.memory import MemoryStore, WordEncoder
from plumbline_cache.domain.audit import wilson
from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.domain.room import Bounds
from plumbline_cache.events import AUDITORS
from plumbline_cache.wiring import Parts
from plumbline_contracts.topics import AUDIT_REQUESTED, ENTRY_INVALIDATED, EVALUATION_COMPLETED, HIT_AUDITED
from plumbline_kit.bus import MemoryBus
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release

SEMANTIC = service_pb.CACHE_TIER_SEMANTIC
EXACT = service_pb.CACHE_TIER_EXACT
LAMP = "What does the Aurora lamp cost?"
COSTS = "The Aurora lamp costs 49 euros."


@dataclass
class Auditing:
    """A replica of the cache and the log."""

    bus: MemoryBus
    parts: Parts

    async def audited(self, audit_id: str, **fields: Any) -> None:
        event = pb.HitAudited(
            audit_id=audit_id,
            tenant_id="acme",
            release=fields.pop("release", self.ref),
            hit=pb.AuditedHit(entry_id="entry", tier=fields.pop("tier", SEMANTIC), scope_key="key"),
            outcome=fields.pop("outcome", pb.AUDIT_OUTCOME_SAME),
        )
        event.audit_time.FromDatetime(SystemClock().now())
        await self.bus.publish(HIT_AUDITED, "acme", event)

    @property
    def ref(self) -> ReleaseRef:
        release = self.parts.release
        return ReleaseRef(application_id=release.application_id, release_id=release.id)

    async def answered_twice(self, cached: str, fresh: str, *, served: str = "answer-1", **fields: Any) -> None:
        passage = Passage(title="Aurora", text="The Aurora lamp costs 49 euros. Its shade is made of linen.")
        event = pb.AuditRequested(
            audit_id=f"audit of {served}",
            tenant_id="acme",
            release=fields.pop("release", self.ref),
            question=LAMP,
            served_answer_id=served,
            hit=pb.AuditedHit(
                entry_id=fields.pop("entry_id", "entry"),
                answer_id=fields.pop("answer_id", "answer-0"),
                tier=fields.pop("tier", SEMANTIC),
                similarity=0.97,
                scope_key="key",
            ),
            cached_answer=Answer(text=cached, sources=[passage]),
            fresh_answer_id="fresh-1",
            fresh_answer=Answer(text=fresh, sources=[passage]),
        )
        event.request_time.FromDatetime(SystemClock().now())
        await self.bus.publish(AUDIT_REQUESTED, "acme", event)

    async def compare(self) -> list[pb.HitAudited]:
        """What was told once everything that was answered twice was compared."""
        await self._handle(AUDITORS, self.parts.audit_requests().subscriptions())
        return [record.body for record in self.bus.records(HIT_AUDITED) if record.body is not None]

    async def fill(self) -> None:
        """Return once the store has heard of all that changes it."""
        await self._handle("cache-test", self.parts.subscriptions())

    def entries(self) -> list[Entry]:
        return list(self.parts.store.of_tenant("acme"))

    async def hear(self) -> None:
        """Return once every event on the log was handled by a process that has just started."""
        events = self.parts.audit_events()
        await self._handle(events.group(), events.subscriptions())

    async def _handle(self, group: str, subscriptions: Any) -> None:
        consumer = self.bus.consumer(group, subscriptions)
        running = asyncio.create_task(consumer.run())
        await consumer.caught_up()
        await consumer.stop()
        await running


@pytest.fixture
async def auditing(release: Release) -> AsyncIterator[Auditing]:
    bus = MemoryBus()
    parts = Parts(
        MemoryStore(),
        WordEncoder(),
        WordEncoder.id,
        WordEncoder.dimensions,
        bus,
        release,
        SystemClock(),
        Bounds(100, 50),
    )
    yield Auditing(bus, parts)
    parts.close()


async def test_a_replica_hears_every_audit_again_when_it_starts_and_counts_it_once(auditing: Auditing) -> None:
    for number in range(12):
        await auditing.audited(str(number), outcome=pb.AUDIT_OUTCOME_DIFFERENT)
        await auditing.audited(str(number), outcome=pb.AUDIT_OUTCOME_DIFFERENT)
    for _ in range(2):
        await auditing.hear()
    [scope] = auditing.parts.audits.scopes_of("acme")
    assert (scope.hits.audited, scope.hits.false, scope.ruling.off) == (12, 12, True)


async def test_an_outcome_that_this_build_does_not_know_is_undecided(auditing: Auditing) -> None:
    await auditing.audited("one", outcome=99)
    await auditing.hear()
    assert auditing.parts.audits.hits_of("acme", Tier.SEMANTIC).undecided == 1


@pytest.mark.parametrize(
    "fields", [{"release": ReleaseRef(application_id="default", release_id="0" * 12)}, {"tier": 9}]
)
async def test_audits_of_other_releases_and_of_no_known_tier_count_for_nothing(
    auditing: Auditing, fields: dict[str, Any]
) -> None:
    await auditing.audited("one", **fields)
    await auditing.audited("two")
    await auditing.hear()
    assert auditing.parts.audits.hits_of("acme", Tier.SEMANTIC).audited == 1


async def test_both_answers_are_compared_and_the_finding_tells_the_rate_with_its_interval(auditing: Auditing) -> None:
    await auditing.answered_twice(COSTS, "49 euros", served="answer-1")
    await auditing.answered_twice(COSTS, "Its shade is made of linen.", served="answer-2")
    first, second = await auditing.compare()
    assert (first.outcome, first.reason) == (pb.AUDIT_OUTCOME_SAME, "words")
    assert (second.outcome, second.served_answer_id) == (pb.AUDIT_OUTCOME_DIFFERENT, "answer-2")
    assert (second.question, second.scope_key, second.hit.similarity) == (LAMP, "key", 0.97)
    rate = second.false_hit_rate
    assert (rate.audited_count, rate.false_count, rate.undecided_count) == (2, 1, 0)
    assert (rate.low, rate.high) == pytest.approx(wilson(1, 2))
    await auditing.hear()
    assert auditing.parts.audits.hits_of("acme", Tier.SEMANTIC).audited == 2


async def test_an_audit_that_is_told_twice_counts_once_and_is_told_under_one_id(auditing: Auditing) -> None:
    for _ in range(2):
        await auditing.answered_twice(COSTS, COSTS)
    await auditing.compare()
    first, second = auditing.bus.records(HIT_AUDITED)
    assert first.event_id == second.event_id
    assert second.body is not None
    assert second.body.false_hit_rate.audited_count == 1


async def test_an_audit_of_another_release_is_told_without_a_rate_and_does_not_count(auditing: Auditing) -> None:
    await auditing.answered_twice(COSTS, COSTS, release=ReleaseRef(application_id="default", release_id="0" * 12))
    [told] = await auditing.compare()
    assert not told.HasField("false_hit_rate")
    assert auditing.parts.audits.hits_of("acme", Tier.SEMANTIC).audited == 0


async def test_a_request_that_names_no_tier_is_dead_lettered_and_the_next_is_compared(auditing: Auditing) -> None:
    await auditing.answered_twice(COSTS, COSTS, tier=0)
    await auditing.answered_twice(COSTS, COSTS)
    assert len(await auditing.compare()) == 1
    assert len(auditing.bus.raw_records(AUDIT_REQUESTED.dead_letters(AUDITORS))) == 1


async def admitted(auditing: Auditing, evaluated: Any, answer_id: str, minute: int) -> str:
    """The entry of an answer that was generated then, as the log tells of it."""
    time = SystemClock().now() - timedelta(minutes=60 - minute)
    event = evaluated(("prices", 1, "h1"), answer_id=answer_id, question=LAMP, generate_time=time)
    await auditing.bus.publish(EVALUATION_COMPLETED, answer_id, event)
    await auditing.fill()
    return next((one.id for one in auditing.entries() if one.answer_id == answer_id), "")


async def test_an_exact_hit_with_another_answer_than_the_fresh_one_goes_and_the_fresh_one_may_come(
    auditing: Auditing, evaluated: Any
) -> None:
    entry_id = await admitted(auditing, evaluated, "old", minute=0)
    shade = "Its shade is made of linen."
    await auditing.answered_twice(COSTS, shade, tier=EXACT, entry_id=entry_id, answer_id="old")
    await auditing.compare()
    await auditing.fill()
    assert auditing.entries() == []
    [record] = auditing.bus.records(ENTRY_INVALIDATED)
    assert record.body is not None
    assert (record.body.cause, record.body.answer_id) == (pb.INVALIDATION_CAUSE_AUDITED, "old")
    assert await admitted(auditing, evaluated, "fresh", minute=1) == entry_id


@pytest.mark.parametrize(
    ("fresh", "hit"),
    [
        (COSTS, {"tier": EXACT}),
        ("Its shade is made of linen.", {"tier": SEMANTIC}),
        ("Its shade is made of linen.", {"tier": EXACT, "answer_id": "another"}),
    ],
)
async def test_a_right_answer_one_of_a_near_question_and_one_that_is_gone_take_nothing_away(
    auditing: Auditing, evaluated: Any, fresh: str, hit: dict[str, Any]
) -> None:
    entry_id = await admitted(auditing, evaluated, "old", minute=0)
    await auditing.answered_twice(COSTS, fresh, **{"entry_id": entry_id, "answer_id": "old"} | hit)
    await auditing.compare()
    await auditing.fill()
    assert [one.answer_id for one in auditing.entries()] == ["old"]
