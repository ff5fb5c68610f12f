"""Which evaluated answers stay."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from plumbline_cache.adapters.memory import MemoryStore
from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.freshness import Floor, Notice
from plumbline_cache.handlers.admit import Admitted
from plumbline_cache.handlers.tallies import Admission

Make = Callable[..., Any]
SOURCE = ("prices", 2, "h1")


async def test_an_answer_that_passed_is_kept(writing: Make, candidate: Make) -> None:
    cache = writing()
    outcome = await cache.admit(candidate("Why?", SOURCE))
    assert outcome == Admitted(cache.held()["answer-1"].id, anew=True)
    assert cache.held()["answer-1"].answer == candidate("Why?", SOURCE).answer


async def test_a_fact_that_comes_again_changes_nothing(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate("Why?", SOURCE))
    before = cache.held()
    outcome = await cache.admit(candidate("Why?", SOURCE))
    assert isinstance(outcome, Admitted)
    assert not outcome.anew
    assert cache.held() == before
    assert cache.tallies.total("acme").counts[Admission.ADMITTED] == 1


@pytest.mark.parametrize("floor", [Floor("acme", "prices", 3), Floor("acme", "prices", 2, deleted=True)])
async def test_an_answer_from_under_the_floor_is_refused(writing: Make, candidate: Make, floor: Floor) -> None:
    cache = writing()
    cache.store.keep_floor(floor)
    assert await cache.admit(candidate("Why?", ("manual", 1, "m"), SOURCE)) is Refusal.SOURCE_CHANGED
    assert cache.held() == {}


async def test_an_answer_from_above_the_floor_is_kept(writing: Make, candidate: Make) -> None:
    cache = writing()
    cache.store.keep_floor(Floor("acme", "prices", 1))
    assert isinstance(await cache.admit(candidate("Why?", SOURCE)), Admitted)


async def test_a_floor_of_another_tenant_means_nothing(writing: Make, candidate: Make) -> None:
    cache = writing()
    cache.store.keep_floor(Floor("globex", "prices", 9))
    assert isinstance(await cache.admit(candidate("Why?", SOURCE)), Admitted)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_answers_to_one_question_the_newer_stays(
    writing: Make, candidate: Make, order: tuple[int, int]
) -> None:
    cache = writing()
    answers = [
        candidate("Why?", SOURCE, answer_id="old", minute=1),
        candidate("why", SOURCE, answer_id="new", minute=2),
    ]
    for index in order:
        await cache.admit(answers[index])
    assert list(cache.held()) == ["new"]


async def test_an_older_answer_is_refused_by_name(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate("Why?", SOURCE, answer_id="new", minute=2))
    assert await cache.admit(candidate("Why?", SOURCE, answer_id="old", minute=1)) is Refusal.OLDER_ANSWER


async def test_a_fresh_answer_replaces_a_waiting_one_that_was_generated_later(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing()
    await cache.admit(candidate("Why?", ("prices", 1, "h0"), answer_id="waiting", minute=2))
    await cache.follow(change("prices", 2, 3))
    await cache.admit(candidate("Why?", ("prices", 3, "h1"), answer_id="fresh", minute=1))
    assert list(cache.held()) == ["fresh"]


class DiesOnce(MemoryStore):
    """The process dies before the first notice is kept."""

    died = False

    def add_notice(self, notice: Notice) -> None:
        if not self.died:
            self.died = True
            raise RuntimeError("killed")
        super().add_notice(notice)


async def test_an_answer_in_the_place_of_one_whose_drop_was_interrupted_leaves_the_drop_told(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache, step = writing(DiesOnce()), change("prices", 1, 2, removed=["h1"])
    await cache.admit(candidate("Why?", ("prices", 1, "h1"), answer_id="dropped", minute=1))
    with pytest.raises(RuntimeError, match="killed"):
        await cache.follow(step)
    await cache.admit(candidate("Why?", ("prices", 2, "h2"), answer_id="fresh", minute=2))
    await cache.follow(step)
    assert list(cache.held()) == ["fresh"]
    assert [notice.answer_id for notice in cache.announcer.told] == ["dropped"]


async def test_an_answer_from_the_future_is_refused(writing: Make, candidate: Make) -> None:
    cache = writing()
    made = candidate("Why?", SOURCE)
    cache.clock.step((made.generate_time - timedelta(minutes=6) - cache.clock.now()).total_seconds())
    assert await cache.admit(made) is Refusal.FROM_THE_FUTURE
    cache.clock.advance(120)
    assert isinstance(await cache.admit(made), Admitted)


async def test_an_answer_that_is_heard_of_when_its_time_is_over_is_refused(writing: Make, candidate: Make) -> None:
    cache = writing()
    cache.clock.advance(timedelta(days=7).total_seconds())
    assert await cache.admit(candidate("Why?", SOURCE)) is Refusal.EXPIRED
    assert cache.held() == {}


async def test_a_late_answer_lives_no_longer_than_one_that_was_heard_of_at_once(writing: Make, candidate: Make) -> None:
    cache, made = writing(), candidate("Why?", SOURCE)
    cache.clock.advance(timedelta(days=6).total_seconds())
    await cache.admit(made)
    assert cache.held()["answer-1"].expire_time == made.generate_time + timedelta(days=7)


async def test_a_newer_answer_to_a_question_keeps_its_hits(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate("Why?", SOURCE, answer_id="old"))
    cache.store.add_hits({cache.held()["old"].id: 5})
    await cache.admit(candidate("Why?", SOURCE, answer_id="new", minute=1))
    assert cache.held()["new"].hits == 5


async def test_refusals_are_counted(writing: Make, candidate: Make) -> None:
    cache = writing()
    await cache.admit(candidate("Why?"))
    await cache.admit(candidate("Why?", SOURCE, passed=False))
    counts = cache.tallies.total("acme").counts
    assert counts == {Refusal.NO_SOURCES: 1, Refusal.NOT_PASSED: 1}
