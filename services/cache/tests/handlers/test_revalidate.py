"""A new passage near a cached question keeps its answer from being served until there is a fresh one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from plumbline_cache.adapters.memory import WordEncoder
from plumbline_cache.domain.addition import Addition
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.handlers import revalidate
from plumbline_cache.handlers.revalidate import Added

Make = Callable[..., Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUESTION = "Price of the lamp?"
NEAR, FAR = "The price of the lamp is 12", "Our shop opens at nine"


async def added(text: str, *, minute: int = 2, groups: tuple[str, ...] = (), tenant: str = "acme") -> Added:
    """A passage of this text came with the second version of the news."""
    time = NOON + timedelta(minutes=minute)
    return Addition(tenant, "news", 2, text, frozenset(groups), time), await WordEncoder().encode(text)


def is_marked(cache: Any, answer_id: str = "lamp") -> bool:
    return cache.held()[answer_id].mark is not None


async def test_a_near_passage_marks_and_a_far_one_does_not(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp"))
    await cache.mark([await added(FAR)])
    assert not is_marked(cache)
    await cache.mark([await added(NEAR)])
    assert cache.held()["lamp"].mark.passage == NEAR


async def test_of_many_near_passages_one_marks(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp"))
    await cache.mark([await added(NEAR, minute=3), await added(f"{NEAR} euros", minute=4)])
    first = cache.held()["lamp"].mark
    await cache.mark([await added(f"{NEAR} now", minute=5)])
    assert first is not None
    assert cache.held()["lamp"].mark == first


async def test_a_passage_marks_all_that_it_is_near_to_however_many(writing: Make, candidate: Make) -> None:
    cache = writing()
    number = revalidate.MARKED_AT_ONCE + 1
    for each in range(number):
        await cache.admit(candidate(f"{QUESTION} {each}", ("prices", 1, "h1"), answer_id=f"lamp {each}"))
    await cache.mark([await added(NEAR)])
    assert sum(entry.mark is not None for entry in cache.held().values()) == number


@pytest.mark.parametrize(("least", "marked"), [(0.5, True), (0.95, False)])
async def test_a_passage_marks_only_if_it_is_about_as_near_as_the_farthest_source(
    writing: Make, candidate: Make, least: float, marked: bool
) -> None:
    cache = writing()
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", least_similarity=least))
    await cache.mark([await added(NEAR)])
    assert is_marked(cache) is marked


@pytest.mark.parametrize(
    ("fields", "marked"),
    [
        ({"groups": ("hr",)}, False),
        ({"groups": ("hr", "sales")}, True),
        ({"tenant": "globex"}, False),
        ({"minute": -1}, False),
    ],
)
async def test_a_passage_concerns_whoever_may_read_it_and_answers_that_were_begun_before(
    writing: Make, candidate: Make, fields: dict[str, Any], marked: bool
) -> None:
    cache = writing()
    scope = Scope("acme", ("sales",), "default", "r1")
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", scope=scope))
    await cache.mark([await added(NEAR, **fields)])
    assert is_marked(cache) is marked


async def test_in_any_order_an_answer_begun_before_is_marked_and_one_begun_after_takes_its_place(
    writing: Make, candidate: Make
) -> None:
    before = candidate(QUESTION, ("prices", 1, "h1"), answer_id="before", minute=1)
    after = candidate(QUESTION, ("prices", 1, "h1"), answer_id="after", minute=3)
    passage = await added(NEAR)
    for facts, held, marked in [
        ([before, passage, passage], "before", True),
        ([before, after, passage, passage, before], "after", False),
    ]:
        for order in permutations(facts):
            cache = writing()
            for fact in order:
                await (cache.mark([fact]) if fact is passage else cache.admit(fact))
            assert set(cache.held()) == {held}
            assert is_marked(cache, held) is marked


async def test_an_answer_in_the_making_is_marked_unless_it_rests_on_the_new_version(
    writing: Make, candidate: Make
) -> None:
    cache = writing()
    await cache.mark([await added(NEAR, minute=2)])
    slow = Saving(seconds=120)
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", minute=3, saving=slow))
    assert is_marked(cache)
    await cache.admit(candidate(QUESTION, ("news", 2, "h1"), answer_id="seen", minute=3, saving=slow))
    assert not is_marked(cache, "seen")


@pytest.mark.parametrize(("late", "marked"), [(0.09, True), (0.11, False)])
async def test_an_answer_that_was_begun_within_what_clocks_differ_counts_as_begun_before(
    writing: Make, candidate: Make, late: float, marked: bool
) -> None:
    answer = candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", minute=2)
    answer = replace(answer, generate_time=answer.generate_time + timedelta(seconds=late))
    passage = await added(NEAR, minute=2)
    for order in permutations([answer, passage]):
        cache = writing()
        for fact in order:
            await (cache.mark([fact]) if fact is passage else cache.admit(fact))
        assert is_marked(cache) is marked


async def test_an_entry_that_was_carried_to_the_new_version_did_not_see_it(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing()
    await cache.admit(candidate(QUESTION, ("news", 1, "h1"), answer_id="lamp"))
    await cache.follow(change("news", 1, 2))
    await cache.mark([await added(NEAR)])
    assert is_marked(cache)


async def test_a_change_whose_passages_are_not_told_marks_all_that_could_be_given_them(
    writing: Make, candidate: Make
) -> None:
    cache = writing()
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp"))
    for_sales, _ = await added("", groups=("sales",))
    await cache.mark([(for_sales, None)])
    assert not is_marked(cache)
    for_everybody, _ = await added("", minute=4)
    await cache.mark([(for_everybody, None)])
    assert is_marked(cache)
    await cache.admit(candidate("Who repairs it?", ("manual", 1, "h1"), answer_id="late", minute=3))
    assert is_marked(cache, "late")


async def test_a_later_change_for_others_takes_no_mark_from_an_answer_that_comes_after_both(
    writing: Make, candidate: Make
) -> None:
    cache = writing()
    for_everybody, _ = await added("", minute=2)
    for_sales, _ = await added("", minute=3, groups=("sales",))
    await cache.mark([(for_everybody, None), (for_sales, None)])
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", minute=1))
    assert is_marked(cache)


async def test_where_too_many_passages_came_to_be_kept_an_answer_begun_before_is_marked(
    writing: Make, candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revalidate, "MOST_ADDITIONS", 3)
    cache = writing()
    for minute in range(2, 7):
        await cache.mark([await added(f"{FAR} {minute}", minute=minute)])
    assert cache.store.count_additions("acme") <= 3
    await cache.admit(candidate(QUESTION, ("prices", 1, "h1"), answer_id="lamp", minute=1))
    assert is_marked(cache)
    await cache.admit(candidate("Who repairs it?", ("manual", 1, "h1"), answer_id="new", minute=7))
    assert not is_marked(cache, "new")
