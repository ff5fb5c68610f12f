"""The facts that follow a served answer."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import TypeVar

from google.protobuf.message import Message

from plumbline.cache.v1.cache_service_pb2 import CACHE_TIER_SEMANTIC
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.gateway.v1.gateway_events_pb2 import AnswerServed
from plumbline_contracts.topics import ANSWER_SERVED, Topic
from plumbline_gateway.domain import (
    Asked,
    Caller,
    Claim,
    Completed,
    Condensation,
    Hit,
    Method,
    ReleaseRef,
    Saving,
    Spending,
    Tier,
)
from plumbline_gateway.events import BackgroundAnnouncer
from plumbline_gateway.testing import an_answer
from plumbline_gateway.translation import answer_to_proto, kept_from_proto
from plumbline_guards.stored import remembering
from plumbline_kit.bus import MemoryBus
from plumbline_kit.bus.messages import Position
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock

M = TypeVar("M", bound=Message)

ACME = Caller("acme", ("sales",))


@dataclass
class Losses:
    """Stands in for a counter."""

    count: int = 0

    def add(self, amount: int) -> None:
        self.count += amount


@dataclass
class SlowLog:
    """Acknowledges nothing until told to, then all, or fails."""

    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    error: Unavailable | None = None
    bodies: list[Message | None] = field(default_factory=list)

    async def publish(self, topic: Topic[M], key: str, body: M | None, *, event_id: str | None = None) -> Position:
        await self.may_go_on.wait()
        if self.error:
            raise self.error
        self.bodies.append(body)
        return Position(0, len(self.bodies))


def served(answer_id: str = "answer-1", asked: Asked = Asked("Why?")) -> Completed:  # noqa: B008  # frozen
    hit = Hit(
        "answer-0",
        kept_from_proto(answer_to_proto(an_answer())),
        Tier.SEMANTIC,
        "entry-0",
        0.97,
        "How come?",
        saving=Saving(Spending({"EUR": 0.02}, 170, 40), 1.5),
    )
    return Completed(answer_id, ReleaseRef("default", "abc"), asked, hit, 0.25)


async def test_a_served_answer_is_told_with_all_of_it() -> None:
    bus = MemoryBus()
    announcer = BackgroundAnnouncer(bus, FakeClock(), limit=10, lost=Losses())
    announcer.served(served(), ACME)
    await announcer.stop()
    [record] = bus.records(ANSWER_SERVED)
    assert isinstance(record.body, AnswerServed)
    assert (record.key, record.body.tenant_id, record.body.question) == ("answer-1", "acme", "Why?")
    assert record.body.origin == pb.ANSWER_ORIGIN_CACHED
    assert record.body.total_time.ToMilliseconds() == 250
    assert record.body.answer.claims[0].source_numbers == [1]


async def test_a_fact_of_a_hit_tells_what_it_was_found_by_and_for_whom() -> None:
    bus = MemoryBus()
    announcer = BackgroundAnnouncer(bus, FakeClock(), limit=10, lost=Losses())
    announcer.served(served(), ACME)
    await announcer.stop()
    [record] = bus.records(ANSWER_SERVED)
    assert isinstance(record.body, AnswerServed)
    hit = record.body.hit
    assert (hit.entry_id, hit.tier, hit.similarity) == ("entry-0", CACHE_TIER_SEMANTIC, 0.97)
    assert (hit.stored_question, record.body.groups) == ("How come?", ["sales"])
    saved = record.body.saved
    assert (saved.prompt_tokens, saved.completion_tokens, saved.time.ToMilliseconds()) == (170, 40, 1500)
    assert [(cost.currency_code, cost.amount) for cost in saved.costs] == [("EUR", 0.02)]


async def test_a_question_of_a_conversation_is_told_as_it_was_asked_and_as_it_was_answered() -> None:
    bus = MemoryBus()
    announcer = BackgroundAnnouncer(bus, FakeClock(), limit=10, lost=Losses())
    condensation = Condensation("And how heavy is it?", "Aurora: And how heavy is it?", Method.RULE)
    announcer.served(served(asked=Asked(condensation.standalone, condensation)), ACME)
    await announcer.stop()
    [record] = bus.records(ANSWER_SERVED)
    assert isinstance(record.body, AnswerServed)
    assert record.body.question == record.body.condensation.standalone_question == condensation.standalone
    assert record.body.condensation.original_question == condensation.original


async def test_a_fact_holds_placeholders_for_values() -> None:
    bus, card, iban = MemoryBus(), "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32"
    announcer = BackgroundAnnouncer(bus, FakeClock(), limit=10, lost=Losses(), findings_in=remembering())
    answer = replace(an_answer(), text=f"Pay to {iban}. Thank you.", claims=(Claim(36, 46, (1,), 1.0),))
    hit = Hit("answer-0", kept_from_proto(answer_to_proto(answer)), Tier.EXACT)
    asked = Asked(f"By {card}?", Condensation(f"With {card}?", f"By {card}?", Method.RULE))
    announcer.served(Completed("answer-1", ReleaseRef("default", "abc"), asked, hit, 0.25), ACME)
    await announcer.stop()
    [record] = bus.records(ANSWER_SERVED)
    assert isinstance(record.body, AnswerServed)
    told, [claim] = record.body.answer.text, record.body.answer.claims
    assert (record.body.question, told) == ("By [card-1]?", "Pay to [iban-1]. Thank you.")
    condensation = record.body.condensation
    assert (condensation.original_question, condensation.standalone_question) == ("With [card-1]?", "By [card-1]?")
    assert told[claim.start_offset : claim.end_offset] == "Thank you."


async def test_stopping_waits_for_the_facts_on_their_way() -> None:
    log = SlowLog()
    announcer = BackgroundAnnouncer(log, FakeClock(), limit=10, lost=Losses())
    running = asyncio.create_task(announcer.run())
    announcer.served(served(), ACME)
    stopping = asyncio.create_task(announcer.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    log.may_go_on.set()
    await asyncio.gather(stopping, running)
    assert len(log.bodies) == 1


async def test_a_fact_that_the_log_does_not_take_is_counted_as_lost() -> None:
    log, losses = SlowLog(error=Unavailable("broker away")), Losses()
    announcer = BackgroundAnnouncer(log, FakeClock(), limit=10, lost=losses)
    log.may_go_on.set()
    announcer.served(served(), ACME)
    await announcer.stop()
    assert losses.count == 1


async def test_facts_beyond_the_bound_are_lost_at_once() -> None:
    log, losses = SlowLog(), Losses()
    announcer = BackgroundAnnouncer(log, FakeClock(), limit=1, lost=losses)
    announcer.served(served("answer-1"), ACME)
    announcer.served(served("answer-2"), ACME)
    assert losses.count == 1
    log.may_go_on.set()
    await announcer.stop()
    assert len(log.bodies) == 1
