"""Who asks the same while an answer is written reads that answer; each in its own time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from plumbline_gateway.domain import (
    Caller,
    Claim,
    Completed,
    Delta,
    Event,
    Freshness,
    Generated,
    Origin,
    Question,
    Role,
    Spending,
    Turn,
)
from plumbline_gateway.handlers.writing import MOST_CHARACTERS
from plumbline_gateway.testing import FakeGenerator, FakeSearch, an_answer
from plumbline_kit.errors import Exhausted, Unavailable
from plumbline_kit.testing import eventually

Door = Callable[..., Any]
ANNA = Caller("acme", ("sales",))
WHY = Question("Why?", "default")
STEPS = 3
"""What the fake needs permits for: two pieces of text and the end."""


@pytest.fixture
def door(front_door: Door) -> Any:
    """A front door whose generation waits for permits."""
    return front_door(generator=writes())


def writes(**fields: Any) -> FakeGenerator:
    return FakeGenerator(permits=asyncio.Semaphore(0), **fields)


def permit(door: Any, steps: int = STEPS) -> None:
    for _ in range(steps):
        door.generator.permits.release()


async def everything(events: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in events]


def asking(door: Any, question: Question = WHY, caller: Caller = ANNA) -> "asyncio.Task[list[Event]]":
    return asyncio.create_task(everything(door.use_case(question, caller)))


async def until_delta(events: AsyncGenerator[Event, None]) -> str:
    return await anext(event.text async for event in events if isinstance(event, Delta))


async def test_fifty_who_ask_the_same_are_answered_by_one_generation(door: Any) -> None:
    took = Spending({"EUR": 0.02}, 900, 30, 1)
    door.generator.generated = replace(door.generator.generated, spending=took)
    tasks = [asking(door) for _ in range(50)]
    permit(door)
    ends = [events[-1] for events in await asyncio.gather(*tasks)]

    assert len(door.generator.assignments) == len(door.search.wordings) == 1
    assert {end.result.answer.text for end in ends} == {"It costs 49 euros."}
    assert len({end.answer_id for end in ends}) == 50
    first = door.generator.assignments[0].answer_id
    assert sorted(end.result.coalesced_with for end in ends) == ["", *[first] * 49]
    assert sum((end.spending for end in ends), Spending()) == took
    assert {told.answer_id for told, _ in door.announcer.told} == {end.answer_id for end in ends}


async def test_who_comes_late_has_the_text_so_far_at_once_and_then_the_rest(door: Any) -> None:
    claim = Claim(0, 9, (1,), 1.0)
    door.generator.deltas = ("It ", "costs ", claim, "49 euros.")
    async with aclosing(door.use_case(WHY, ANNA)) as first:
        permit(door, 4)
        while not door.generator.permits.locked():
            await until_delta(first)
        async with aclosing(door.use_case(WHY, ANNA)) as late:
            assert await until_delta(late) == "It costs "
            permit(door, 1)
            rest = await everything(late)
    assert "".join(event.text for event in rest if isinstance(event, Delta)) == "49 euros."
    assert rest[-1].result.answer == door.generator.generated.answer


async def test_the_one_who_began_may_leave_and_the_others_are_answered(door: Any) -> None:
    async with aclosing(door.use_case(WHY, ANNA)) as first, aclosing(door.use_case(WHY, ANNA)) as second:
        permit(door, 1)
        assert await until_delta(first) == await until_delta(second)
        await first.aclose()
        permit(door, 2)
        assert (await everything(second))[-1].result.origin is Origin.GENERATED
    assert len(door.generator.assignments) == 1


async def test_one_who_is_about_to_join_what_just_ended_is_answered_anew(door: Any) -> None:
    async with aclosing(door.use_case(WHY, ANNA)) as first, aclosing(door.use_case(WHY, ANNA)) as second:
        permit(door, 1)
        await until_delta(first)
        await anext(second)
        await first.aclose()
        permit(door)
        end = (await everything(second))[-1]
    assert (end.result.origin, end.result.coalesced_with) == (Origin.GENERATED, "")


async def test_the_last_to_leave_ends_the_writing_and_frees_its_slot(front_door: Door) -> None:
    door = front_door(generator=writes(), slots=1)
    async with aclosing(door.use_case(WHY, ANNA)) as first, aclosing(door.use_case(WHY, ANNA)) as second:
        permit(door, 1)
        assert await until_delta(first) == await until_delta(second)
        await first.aclose()
        assert not door.generator.stopped_early
    assert door.generator.stopped_early
    permit(door)
    assert (await asking(door))[-1].result.coalesced_with == ""


async def test_each_waits_as_long_as_its_own_time_allows(door: Any) -> None:
    patient = asking(door)
    async with aclosing(door.use_case(WHY, ANNA, 5.0)) as hasty:
        permit(door, 1)
        assert await until_delta(hasty) == "It costs "
        door.clock.advance(4.75)
        end = (await everything(hasty))[-1]
    assert end.result.origin is Origin.DEGRADED
    assert end.result.answer.text.startswith("It costs \n\n")
    permit(door, 2)
    assert (await patient)[-1].result.origin is Origin.GENERATED


async def test_what_generation_fails_with_reaches_everybody(front_door: Door) -> None:
    door = front_door(generator=writes(error=Unavailable("away")))
    tasks = [asking(door) for _ in range(3)]
    permit(door)
    ends = [events[-1] for events in await asyncio.gather(*tasks)]
    assert [end.result.origin for end in ends] == [Origin.DEGRADED] * 3
    assert len(door.generator.assignments) == 1


async def test_without_documents_everybody_is_told_so(front_door: Door) -> None:
    door = front_door(search=FakeSearch(error=Unavailable("away", retry_after=2.5)))
    failures = await asyncio.gather(*(asking(door) for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable] * 3


async def test_what_nobody_foresaw_reaches_everybody_too(front_door: Door) -> None:
    door = front_door(generator=writes(error=ZeroDivisionError()))
    tasks = [asking(door) for _ in range(2)]
    permit(door)
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(failure) for failure in failures] == [ZeroDivisionError] * 2


@pytest.mark.parametrize(
    ("question", "caller"),
    [
        (WHY, Caller("other", ("sales",))),
        (WHY, Caller("acme", ("press",))),
        (WHY, Caller("acme")),
        (Question("Why not?", "default"), ANNA),
        (replace(WHY, freshness=Freshness.BYPASS), ANNA),
        (replace(WHY, samples=2), ANNA),
        (replace(WHY, json_schema="{}"), ANNA),
        (replace(WHY, turns=(Turn(Role.USER, "The lamp is red."),)), ANNA),
    ],
    ids=["tenant", "groups", "no groups", "text", "bypass", "samples", "schema", "turns"],
)
async def test_nothing_is_shared_beyond_caller_and_question(door: Any, question: Question, caller: Caller) -> None:
    tasks = [asking(door), asking(door, question, caller), asking(door, question, caller)]
    permit(door, 3 * STEPS)
    await asyncio.gather(*tasks)
    shared = question.freshness is None and not (question.samples or question.json_schema or question.turns)
    assert len(door.generator.assignments) == (2 if shared else 3)


async def test_how_fresh_a_cached_answer_had_to_be_makes_no_difference(door: Any) -> None:
    tasks = [asking(door, replace(WHY, freshness=each)) for each in (None, Freshness.STRICT, Freshness.EVENTUAL)]
    permit(door)
    await asyncio.gather(*tasks)
    assert len(door.generator.assignments) == 1


async def test_all_who_read_one_answer_take_one_slot(front_door: Door) -> None:
    door = front_door(generator=writes(), slots=1)
    async with aclosing(door.use_case(WHY, ANNA)) as first:
        permit(door, 1)
        await until_delta(first)
        others = [asking(door) for _ in range(20)]
        with pytest.raises(Exhausted):
            await asking(door, Question("Something else?", "default"))
        permit(door, 2)
        assert all(isinstance(events[-1], Completed) for events in await asyncio.gather(*others))


async def test_no_more_wait_than_may(front_door: Door) -> None:
    door = front_door(generator=writes(), waiting=1)
    first, second = asking(door), asking(door)
    with pytest.raises(Exhausted):
        await asking(door)
    permit(door)
    await asyncio.gather(first, second)


async def test_nobody_joins_an_answer_of_very_much_text(front_door: Door) -> None:
    text = "x" * (MOST_CHARACTERS + 1)
    door = front_door(generator=writes(deltas=(text, " "), generated=Generated(an_answer(f"{text} "), "m")))
    async with aclosing(door.use_case(WHY, ANNA)) as first:
        permit(door, 1)
        await until_delta(first)
        permit(door, 2 + STEPS)
        assert (await asking(door))[-1].result.coalesced_with == ""


async def test_the_next_after_the_end_is_answered_anew(door: Any) -> None:
    permit(door, 2 * STEPS)
    await asking(door)
    assert (await asking(door))[-1].result.coalesced_with == ""
    assert len(door.generator.assignments) == 2


async def test_who_wants_the_newest_reads_no_answer_from_a_document_that_changed_meanwhile(door: Any) -> None:
    async with aclosing(door.use_case(WHY, ANNA)) as first:
        permit(door, 1)
        await until_delta(first)
        door.search.current = False
        newest = asking(door)
        await eventually(lambda: len(door.generator.assignments) == 2)
        door.search.current = True
        late = asking(door)
        await eventually(lambda: len(door.search.verified) == 3)
        permit(door, 2 * STEPS - 1)
        assert (await newest)[-1].result.coalesced_with == ""
        assert (await late)[-1].result.coalesced_with == (await newest)[-1].answer_id
        await everything(first)


async def test_what_cannot_be_verified_is_not_joined(door: Any) -> None:
    async with aclosing(door.use_case(WHY, ANNA)) as first:
        permit(door, 1)
        await until_delta(first)
        door.search.current = False
        second = asking(door)
        permit(door, 2 * STEPS)
        assert (await second)[-1].result.coalesced_with == ""
