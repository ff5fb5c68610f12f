"""What a change of a document takes out of the cache."""

from collections.abc import Callable
from typing import Any

import pytest

from plumbline_cache.adapters.memory import MemoryAnnouncer
from plumbline_cache.domain.freshness import Cause, Notice
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]


class DeafAnnouncer(MemoryAnnouncer):
    """The log is away until `hears`."""

    hears = False

    async def entry_invalidated(self, notice: Notice) -> None:
        if not self.hears:
            raise Unavailable("the log is away")
        await super().entry_invalidated(notice)


async def admit_four(cache: Any, candidate: Make) -> None:
    """Two answers rest on h1 of the prices, one on h2, one on the manual."""
    await cache.admit(candidate("Price of the lamp?", ("prices", 1, "h1"), answer_id="lamp"))
    await cache.admit(candidate("All prices?", ("prices", 1, "h2"), ("prices", 1, "h1"), answer_id="all"))
    await cache.admit(candidate("Price of the desk?", ("prices", 1, "h2"), answer_id="desk"))
    await cache.admit(candidate("How to clean it?", ("manual", 1, "m1"), answer_id="clean"))


def versions(cache: Any, answer_id: str) -> list[int]:
    return [source.version for source in cache.held()[answer_id].sources]


async def test_a_changed_source_drops_only_the_answers_that_rest_on_it(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", 1, 2, removed=["h1"]))
    assert set(cache.held()) == {"desk", "clean"}
    assert versions(cache, "desk") == [2]
    assert {(n.answer_id, n.cause, n.document, n.version) for n in cache.announcer.told} == {
        ("lamp", Cause.SOURCE_CHANGED, "prices", 2),
        ("all", Cause.SOURCE_CHANGED, "prices", 2),
    }
    assert cache.tallies.total("acme").counts[Cause.SOURCE_CHANGED] == 2


async def test_a_deleted_document_drops_every_answer_that_rests_on_it(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", 1, 2, deleted=True))
    assert set(cache.held()) == {"clean"}
    assert {n.cause for n in cache.announcer.told} == {Cause.SOURCE_DELETED}


async def test_a_change_of_another_tenant_drops_nothing(writing: Make, candidate: Make, change: Make) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", 1, 2, deleted=True, tenant="globex"))
    assert len(cache.held()) == 4


async def test_a_change_heard_twice_drops_and_tells_once(writing: Make, candidate: Make, change: Make) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    step = change("prices", 1, 2, removed=["h1"])
    await cache.follow(step, step)
    assert len(cache.announcer.told) == 2
    assert versions(cache, "desk") == [2]


async def test_an_old_change_drops_no_fresh_answer(writing: Make, candidate: Make, change: Make) -> None:
    cache = writing()
    await cache.follow(change("prices", 2, 3))
    await cache.admit(candidate("Price of the lamp?", ("prices", 3, "h1"), answer_id="back again"))
    await cache.follow(change("prices", 1, 2, removed=["h1"]), change("prices", 0, 1, deleted=True))
    assert versions(cache, "back again") == [3]
    assert cache.store.floors("acme", ["prices"])["prices"].version == 3


async def test_changes_in_the_wrong_order_end_as_in_the_right_one(writing: Make, candidate: Make, change: Make) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", 2, 3), change("prices", 1, 2, removed=["h1"]))
    assert set(cache.held()) == {"desk", "clean"}
    assert versions(cache, "desk") == [3]
    assert {(n.answer_id, n.version) for n in cache.announcer.told} == {("lamp", 2), ("all", 2)}
    assert cache.store.floors("acme", ["prices"])["prices"].changes == ()


async def test_an_answer_above_a_change_is_not_touched_by_it(writing: Make, candidate: Make, change: Make) -> None:
    cache = writing()
    await cache.admit(candidate("Price of the lamp?", ("prices", 5, "h1"), answer_id="ahead"))
    await cache.follow(change("prices", 1, 3, removed=["h1"]))
    assert versions(cache, "ahead") == [5]


async def test_after_deletion_and_resubmission_only_answers_from_the_new_document_stay(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", -1, 7))
    await cache.admit(candidate("Price again?", ("prices", 7, "h1"), answer_id="again"))
    await cache.follow(change("prices", 1, 4, deleted=True))
    assert set(cache.held()) == {"again", "clean"}
    assert {n.version for n in cache.announcer.told} == {4}


async def test_what_could_not_be_told_is_told_when_the_change_comes_again(
    writing: Make, candidate: Make, change: Make
) -> None:
    cache = writing(announcer=DeafAnnouncer())
    await admit_four(cache, candidate)
    step = change("prices", 1, 2, removed=["h1"])
    with pytest.raises(Unavailable):
        await cache.follow(step)
    assert set(cache.held()) == {"desk", "clean"}
    cache.announcer.hears = True
    await cache.follow(step)
    assert {n.answer_id for n in cache.announcer.told} == {"lamp", "all"}
