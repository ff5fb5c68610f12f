"""Audits from the event log to the next lookup, on the bus in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.cache.v1 import cache_service_pb2 as service_pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_cache.adapters.memory import MemoryStore, WordEncoder
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.domain.room import Bounds
from plumbline_cache.wiring import Parts
from plumbline_contracts.topics import HIT_AUDITED
from plumbline_kit.bus import MemoryBus
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release


@dataclass
class Auditing:
    """A replica of the cache and the log."""

    bus: MemoryBus
    parts: Parts

    async def audited(self, audit_id: str, **fields: Any) -> None:
        event = pb.HitAudited(
            audit_id=audit_id,
            tenant_id="acme",
            scope_key="key",
            release=fields.pop("release", self.ref),
            hit=pb.AuditedHit(entry_id="entry", tier=fields.pop("tier", service_pb.CACHE_TIER_SEMANTIC)),
            outcome=fields.pop("outcome", pb.AUDIT_OUTCOME_SAME),
        )
        event.audit_time.FromDatetime(SystemClock().now())
        await self.bus.publish(HIT_AUDITED, "acme", event)

    @property
    def ref(self) -> ReleaseRef:
        release = self.parts.release
        return ReleaseRef(application_id=release.application_id, release_id=release.id)

    async def hear(self) -> None:
        """Return once every event on the log was handled by a process that has just started."""
        events = self.parts.audit_events()
        consumer = self.bus.consumer(events.group(), events.subscriptions())
        running = asyncio.create_task(consumer.run())
        await consumer.caught_up()
        await consumer.stop()
        await running


@pytest.fixture
async def auditing(release: Release) -> AsyncIterator[Auditing]:
    bus = MemoryBus()
    parts = Parts(MemoryStore(), WordEncoder(), WordEncoder.id, bus, release, SystemClock(), Bounds(100, 50))
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
