"""Hits that are answered afresh too: which, when, on whose behalf, and what is told of them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plumbline.cache.v1.cache_service_pb2 import CACHE_TIER_SEMANTIC
from plumbline_contracts.topics import AUDIT_REQUESTED
from plumbline_gateway.adapters.audits import EXACT_PART, BackgroundAudits
from plumbline_gateway.domain import (
    Answer,
    Asked,
    Caller,
    Completed,
    Generated,
    Hit,
    Lookup,
    Outcome,
    Reanswered,
    ReleaseRef,
    Tier,
)
from plumbline_gateway.events import BusAudits
from plumbline_gateway.handlers import Allowance, AuditHit, Slots
from plumbline_gateway.testing import FakeAuditLog, FakeCache, FakeGenerator, FakeSearch, an_answer
from plumbline_gateway.translation import answer_to_proto, kept_from_proto
from plumbline_guards.stored import remembering
from plumbline_kit.bus import MemoryBus
from plumbline_kit.errors import Exhausted, Invalid, Unavailable
from plumbline_kit.identity import Identity
from plumbline_kit.release import Release
from plumbline_kit.rpc import Call, current_call
from plumbline_kit.rpc.call import enter
from plumbline_kit.telemetry import names
from plumbline_kit.testing import FakeClock

ACME = Caller("acme", ("sales",))
RELEASE = ReleaseRef("default", "abc")
SEMANTIC = Hit(
    "answer-0",
    kept_from_proto(answer_to_proto(an_answer("It is 49."))),
    Tier.SEMANTIC,
    "entry-0",
    0.97,
    "How come?",
    "key",
)
Door = Callable[..., Any]


def served(result: Hit | Generated = SEMANTIC, answer_id: str = "answer-1", question: str = "Why?") -> Completed:
    return Completed(answer_id, RELEASE, Asked(question), result, 0.01)


@dataclass
class Outcomes:
    """Stands in for a counter."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, amount: int, attributes: Mapping[str, str]) -> None:
        self.counts[attributes[names.AUDIT_OUTCOME]] += amount


class CallerKept(FakeGenerator):
    """Keeps the call in which it was asked."""

    calls: tuple[Call, ...] = ()

    def generate(self, assignment: Any) -> Any:
        self.calls = (*self.calls, current_call())
        return super().generate(assignment)


@dataclass
class Auditing:
    """Audits on fakes."""

    release: Release
    search: FakeSearch = field(default_factory=FakeSearch)
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    log: FakeAuditLog = field(default_factory=FakeAuditLog)
    clock: FakeClock = field(default_factory=FakeClock)
    slots: Slots = field(default_factory=lambda: Slots(4))
    outcomes: Outcomes = field(default_factory=Outcomes)
    share: float = 1.0
    per_minute: int = 100
    at_once: int = 100

    def __post_init__(self) -> None:
        audit = AuditHit(
            self.search,
            self.generator,
            self.log,
            release=self.release,
            clock=self.clock,
            new_id=lambda: "fresh-1",
        )
        self.background = BackgroundAudits(
            audit,
            Allowance(self.per_minute, self.slots.is_busy, self.clock),
            share=self.share,
            at_once=self.at_once,
            seconds=20.0,
            audits=self.outcomes,
        )

    async def hear(self, *answers: Completed) -> list[Reanswered]:
        """Tell of served answers one after the other, wait for their audits, and return what was told of them."""
        serve()
        for answer in answers:
            await self.finish(answer)
        return self.log.told

    async def finish(self, answer: Completed) -> None:
        """Tell of a served answer, and return when its audit is over."""
        before = asyncio.all_tasks()
        self.background.served(answer, ACME)
        await asyncio.gather(*asyncio.all_tasks() - before)


@pytest.fixture
def auditing(release: Release) -> Callable[..., Auditing]:
    return lambda **parts: Auditing(release, **parts)


def serve() -> Call:
    """Begin a call of the caller's; for within a test, which has a context of its own."""
    call = Call(Identity("acme", "tester", ("sales",)), "request-1", time.monotonic() + 1, "token")
    enter(call)
    return call


async def test_a_hit_is_answered_afresh_without_the_cache_and_both_answers_are_told(auditing: Door) -> None:
    audits = auditing()
    [both] = await audits.hear(served())
    assert (both.hit, both.withheld, both.served_answer_id) == (SEMANTIC, False, "answer-1")
    assert (both.fresh_answer_id, both.fresh, both.question) == ("fresh-1", an_answer(), "Why?")
    assert both.caller == ACME
    assert audits.search.wordings == [("Why?",)]
    [assignment] = audits.generator.assignments
    assert (assignment.answer_id, assignment.audited_answer_id) == ("fresh-1", "answer-0")
    assert audits.outcomes.counts == {"told": 1}


async def test_it_is_done_as_the_caller_with_time_of_its_own(auditing: Door) -> None:
    audits, call = auditing(generator=CallerKept()), serve()
    await audits.finish(served())
    [used] = audits.generator.calls
    assert (used.identity, used.token) == (call.identity, call.token)
    assert used.remaining() > 15
    assert current_call() == call


@pytest.mark.parametrize(("tier", "share"), [(Tier.SEMANTIC, 0.5), (Tier.EXACT, 0.5 * EXACT_PART)])
async def test_the_share_of_hits_is_audited_and_of_exact_ones_a_tenth_of_it(
    auditing: Door, tier: Tier, share: float
) -> None:
    audits = auditing(share=0.5, per_minute=10_000)
    answers = [served(replace(SEMANTIC, tier=tier), f"answer-{number}") for number in range(600)]
    assert len(await audits.hear(*answers)) == pytest.approx(share * 600, rel=0.3)


async def test_a_generated_answer_is_not_audited(auditing: Door) -> None:
    assert await auditing().hear(served(Generated(an_answer(), "small-model"))) == []


async def test_a_withheld_hit_is_told_with_the_answer_that_was_given_and_nothing_is_generated(auditing: Door) -> None:
    audits = auditing(share=0.0)
    [both] = await audits.hear(served(Generated(an_answer("It is 50."), "small-model", withheld=SEMANTIC)))
    assert (both.hit, both.withheld) == (SEMANTIC, True)
    assert (both.fresh_answer_id, both.fresh.text) == ("answer-1", "It is 50.")
    assert audits.generator.assignments == []


async def test_a_withheld_hit_is_told_once_where_several_waited_for_the_answer(auditing: Door) -> None:
    leader = Generated(an_answer("It is 50."), "small-model", withheld=SEMANTIC)
    follower = replace(leader, coalesced_with="answer-1")
    assert len(await auditing().hear(served(leader), served(follower, "answer-2"))) == 1


async def test_no_more_than_so_many_a_minute_are_audited(auditing: Door) -> None:
    audits = auditing(per_minute=2)
    assert len(await audits.hear(*[served()] * 5)) == 2
    audits.clock.advance(60)
    assert len(await audits.hear(served())) == 3
    assert audits.outcomes.counts == {"told": 3, "shed": 3}


async def test_no_more_than_so_many_are_audited_at_once(auditing: Door) -> None:
    audits, _ = auditing(at_once=1), serve()
    for _ in range(3):
        audits.background.served(served(), ACME)
    assert audits.outcomes.counts == {"shed": 2}
    await audits.background.stop()


async def test_audits_give_way_when_half_of_the_slots_for_callers_is_taken(auditing: Door) -> None:
    audits = auditing()
    with audits.slots.one(), audits.slots.one():
        assert await audits.hear(served()) == []
    assert len(await audits.hear(served())) == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"search": FakeSearch(error=Unavailable("away"))},
        {"generator": FakeGenerator(error=Exhausted("over budget"))},
        {"generator": FakeGenerator(generated=Generated(an_answer(outcome=Outcome.DEGRADED), "extractive"))},
        {"log": FakeAuditLog(error=Unavailable("no log"))},
    ],
)
async def test_an_audit_that_fails_is_counted_and_hurts_nobody(auditing: Door, parts: dict[str, Any]) -> None:
    audits = auditing(**parts)
    assert await audits.hear(served()) == []
    assert audits.outcomes.counts == {"failed": 1}


async def test_stopping_ends_audits_under_way(auditing: Door) -> None:
    audits, _ = auditing(), serve()
    running = asyncio.create_task(audits.background.run())
    audits.background.served(served(), ACME)
    await audits.background.stop()
    await running
    assert audits.log.told == []


async def test_the_front_door_tells_the_withheld_hit_with_the_answer_it_gave(front_door: Door) -> None:
    door = front_door(cache=FakeCache(Lookup(miss_reason="switched_off", withheld=SEMANTIC)))
    events = await door.ask()
    assert events[-1].result.withheld == SEMANTIC
    assert events[-1].result.answer.text == an_answer().text


def both_answers(question: str = "Why?", fresh: Answer | None = None) -> Reanswered:
    return Reanswered(
        served_answer_id="answer-1",
        caller=ACME,
        release=RELEASE,
        question=question,
        hit=SEMANTIC,
        withheld=True,
        fresh_answer_id="fresh-1",
        fresh=fresh or an_answer(),
        time=FakeClock().now(),
    )


async def test_both_answers_are_told_on_the_log_under_one_id_however_often() -> None:
    bus = MemoryBus()
    for _ in range(2):
        await BusAudits(bus, remembering()).reanswered(both_answers())
    first, second = bus.records(AUDIT_REQUESTED)
    fact = first.body
    assert fact is not None
    assert (first.key, first.event_id, second.event_id) == ("acme", fact.audit_id, fact.audit_id)
    assert (fact.tenant_id, list(fact.groups), fact.release.release_id) == ("acme", ["sales"], "abc")
    hit = fact.hit
    assert (hit.entry_id, hit.answer_id, hit.tier) == ("entry-0", "answer-0", CACHE_TIER_SEMANTIC)
    assert (hit.similarity, hit.stored_question, hit.withheld, hit.scope_key) == (0.97, "How come?", True, "key")
    assert (fact.cached_answer.text, fact.fresh_answer.text) == ("It is 49.", "It costs 49 euros.")


@pytest.mark.parametrize(
    "both",
    [
        both_answers(question="Is 4111 1111 1111 1111 mine?"),
        both_answers(question="Is ada@example.org there?"),
        both_answers(fresh=an_answer("Pay to GB82 WEST 1234 5698 7654 32.")),
    ],
)
async def test_what_would_be_redacted_is_not_told(both: Reanswered) -> None:
    bus = MemoryBus()
    with pytest.raises(Invalid):
        await BusAudits(bus, remembering()).reanswered(both)
    assert bus.records(AUDIT_REQUESTED) == []
