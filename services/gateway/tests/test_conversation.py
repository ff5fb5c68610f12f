"""Questions within a conversation: what is looked up, searched for, answered, told and paid."""

from collections.abc import Callable
from typing import Any

import pytest

from plumbline_gateway.domain import (
    MAX_QUESTION_CHARACTERS,
    Completed,
    Event,
    Freshness,
    Generated,
    Hit,
    Lookup,
    Method,
    Origin,
    Question,
    Role,
    Spending,
    Tier,
    Turn,
    conversation_state,
)
from plumbline_gateway.testing import FakeCache, FakeCondenser, FakeGenerator, an_answer, kept
from plumbline_kit.errors import DeadlineExceeded, Invalid, PlumblineError, Unavailable

Door = Callable[..., Any]
Last = Callable[[list[Event]], Completed]
TURNS = (Turn(Role.USER, "How much is the Aurora desk lamp?"), Turn(Role.ASSISTANT, "It costs 49 euros."))
ASKED = "And how heavy is it?"
STANDALONE = FakeCondenser().standalone


async def test_a_question_without_turns_is_not_condensed(front_door: Door, completed: Last) -> None:
    door = front_door()
    done = completed(await door.ask())
    assert not door.condenser.questions
    assert done.asked.condensation is None
    assert door.search.wordings == [("What does the Aurora cost?",)]


async def test_what_stands_alone_is_looked_up_and_answered_and_both_wordings_are_searched_for(
    front_door: Door, completed: Last
) -> None:
    door = front_door()
    done = completed(await door.ask(ASKED, turns=TURNS))
    assert door.cache.questions == [STANDALONE]
    assert door.search.wordings == [(STANDALONE, ASKED)]
    assert door.generator.assignments[0].question == STANDALONE
    assert door.generator.assignments[0].condensation == done.asked.condensation
    assert (done.asked.text, done.asked.condensation.original) == (STANDALONE, ASKED)


async def test_a_question_that_stands_alone_is_searched_for_once(front_door: Door, completed: Last) -> None:
    door = front_door(condenser=FakeCondenser(method=Method.UNCHANGED))
    done = completed(await door.ask("Who built Rome?", turns=TURNS))
    assert door.search.wordings == [("Who built Rome?",)]
    assert done.asked.condensation.method is Method.UNCHANGED


@pytest.mark.parametrize("error", [DeadlineExceeded("slow"), Unavailable("away")], ids=["slow", "away"])
async def test_without_a_condenser_the_question_comes_after_the_users_last_turn(
    front_door: Door, completed: Last, error: PlumblineError
) -> None:
    door = front_door(condenser=FakeCondenser(error=error))
    done = completed(await door.ask(ASKED, turns=TURNS))
    assert done.asked.text == f"How much is the Aurora desk lamp? {ASKED}"
    assert done.asked.condensation.method is Method.JOINED
    assert done.asked.condensation.reason
    assert done.result.origin is Origin.GENERATED


async def test_without_a_condenser_a_long_question_stays_within_what_may_be_asked(
    front_door: Door, completed: Last
) -> None:
    door = front_door(condenser=FakeCondenser(error=Unavailable("away")))
    question = "why " * (MAX_QUESTION_CHARACTERS // 4)
    done = completed(await door.ask(question, turns=TURNS))
    assert (done.asked.text, done.asked.condensation.method) == (question, Method.UNCHANGED)


async def test_what_the_condenser_finds_invalid_is_the_callers_to_mend(front_door: Door) -> None:
    with pytest.raises(Invalid):
        await front_door(condenser=FakeCondenser(error=Invalid("no"))).ask(ASKED, turns=TURNS)


@pytest.mark.parametrize(
    ("turns", "field"),
    [
        ((Turn(Role.USER, " "),), "turns\\[0\\].text"),
        ((*TURNS, Turn(Role.USER, "x" * 8_001)), "turns\\[2\\].text.*8,001"),
        ((Turn(Role.USER, "a\0b"),), "NUL"),
        (TURNS * 51, "turns.*102"),
        ((Turn(Role.USER, "x" * 8_000),) * 13, "104,000"),
    ],
    ids=["empty", "long", "nul", "many", "large"],
)
def test_turns_that_are_too_many_or_too_large_are_refused(turns: tuple[Turn, ...], field: str) -> None:
    with pytest.raises(Invalid, match=field):
        Question("Why?", "default", turns=turns)


async def test_condensing_and_answering_are_paid_together(front_door: Door, completed: Last) -> None:
    condenser = FakeCondenser(method=Method.MODEL, spending=Spending({"EUR": 0.5}, 10, 2, 1))
    generated = Generated(an_answer(), "m", recorded=True, spending=Spending({"EUR": 0.25, "USD": 1.0}, 90, 9, 2))
    door = front_door(condenser=condenser, generator=FakeGenerator(generated=generated))
    done = completed(await door.ask(ASKED, turns=TURNS))
    assert done.spending == Spending({"EUR": 0.75, "USD": 1.0}, 100, 11, 3)


async def test_a_hit_costs_nothing_beyond_condensing(front_door: Door, completed: Last) -> None:
    cache = FakeCache(Lookup(Hit("answer-0", kept(an_answer()), Tier.EXACT)))
    assert completed(await front_door(cache=cache).ask()).spending == Spending()
    condenser = FakeCondenser(spending=Spending({"EUR": 0.5}, 10, 2, 1))
    door = front_door(cache=cache, condenser=condenser)
    done = completed(await door.ask(ASKED, turns=TURNS, freshness=Freshness.EVENTUAL))
    assert (done.result.origin, done.spending) == (Origin.CACHED, condenser.spending)


async def test_a_changed_question_is_looked_up_and_answered_in_its_conversation(
    front_door: Door, completed: Last
) -> None:
    door = front_door()
    done = completed(await door.ask(ASKED, turns=TURNS))
    state = conversation_state(TURNS)
    assert door.cache.conversations == [state]
    assert door.generator.assignments[0].condensation.conversation == done.asked.condensation.conversation == state


async def test_a_question_that_stands_alone_is_looked_up_in_no_conversation(front_door: Door) -> None:
    door = front_door(condenser=FakeCondenser(method=Method.UNCHANGED))
    await door.ask("Who built Rome?", turns=TURNS)
    await door.ask("Who built Rome?")
    assert door.cache.conversations == ["", ""]


async def test_without_a_condenser_the_conversation_is_known_too(front_door: Door) -> None:
    door = front_door(condenser=FakeCondenser(error=Unavailable("away")))
    await door.ask(ASKED, turns=TURNS)
    assert door.cache.conversations == [conversation_state(TURNS)]


@pytest.mark.parametrize(
    "other",
    [
        (),
        TURNS[:1],
        tuple(reversed(TURNS)),
        (Turn(Role.USER, TURNS[0].text + " "), TURNS[1]),
        (Turn(Role.ASSISTANT, TURNS[0].text), TURNS[1]),
        (Turn(Role.USER, TURNS[0].text + TURNS[1].text),),
    ],
)
def test_other_turns_are_another_state(other: tuple[Turn, ...]) -> None:
    assert conversation_state(other) != conversation_state(TURNS)
    assert conversation_state(TURNS) == conversation_state(list(TURNS))
