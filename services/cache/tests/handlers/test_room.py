"""What goes when its time is over or there is too much, and whose."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.memory import MemoryAnnouncer, MemoryStore
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.domain.freshness import Cause, Notice
from plumbline_cache.domain.room import Bounds
from plumbline_cache.handlers.invalidate import AnnounceRest
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
SOURCE = ("prices", 2, "h1")
VECTOR = np.zeros(4, dtype=np.float32)
GLOBEX = Scope("globex", (), "default", "r1")


async def test_what_expired_is_dropped_and_told_with_its_cause(writing: Make, entry: Make) -> None:
    cache = writing()
    for kept in (entry("old"), entry("old", scope=GLOBEX), entry("young", minute=30)):
        cache.store.put(kept, VECTOR)
    cache.clock.advance(timedelta(days=7, minutes=-60).total_seconds())
    await cache.sweep()
    assert list(cache.store.count_by_tenant().items()) == [("acme", 1)]
    assert {(notice.tenant, notice.cause, notice.question) for notice in cache.announcer.told} == {
        ("acme", Cause.EXPIRED, "old"),
        ("globex", Cause.EXPIRED, "old"),
    }
    assert cache.tallies.total("acme").counts[Cause.EXPIRED] == 1


async def test_nothing_is_swept_before_its_time(writing: Make, entry: Make) -> None:
    cache = writing()
    cache.store.put(entry("young"), VECTOR)
    await cache.sweep()
    assert (cache.store.count("acme"), cache.announcer.told) == (1, [])


class Away(MemoryAnnouncer):
    """Not there at first."""

    away = True

    async def entry_invalidated(self, notice: Notice) -> None:
        if self.away:
            raise Unavailable("the broker is away")
        await super().entry_invalidated(notice)


async def test_what_could_not_be_told_is_told_by_the_next_sweep(writing: Make, entry: Make) -> None:
    cache = writing(announcer=Away())
    cache.store.put(entry("first"), VECTOR)
    cache.clock.advance(timedelta(days=7).total_seconds())
    with pytest.raises(Unavailable):
        await cache.sweep()
    cache.announcer.away = False
    cache.store.put(entry("second"), VECTOR)
    await cache.sweep()
    assert {notice.question for notice in cache.announcer.told} == {"first", "second"}


async def test_what_saves_most_stays(writing: Make, entry: Make) -> None:
    cache = writing(bounds=Bounds(1_000, 40))
    for number in range(200):
        dear = Saving(seconds=20.0) if number % 10 == 0 else None
        cache.store.put(entry(f"question {number}", answer_id=f"{number}", saving=dear), VECTOR)
        cache.store.add_hits({entry(f"question {number}").id: 50 if number % 10 == 1 else 0})
    for number in range(2, 200, 20):
        for _ in range(50):
            cache.uses.note(entry(f"question {number}").id)
    await cache.make_room()
    held = {int(number) for number in cache.held()}
    assert len(held) == 40
    wanted = {number for number in range(200) if number % 10 < 2} | set(range(2, 200, 20))
    assert len(held & wanted) >= 36
    assert {notice.cause for notice in cache.announcer.told} == {Cause.EVICTED}
    assert len(cache.announcer.told) == cache.tallies.total("acme").counts[Cause.EVICTED] == 160


async def test_a_flood_of_one_tenant_takes_nothing_from_others(writing: Make, entry: Make) -> None:
    cache = writing(bounds=Bounds(600, 400))
    others = {f"tenant-{number}": Scope(f"tenant-{number}", (), "default", "r1") for number in range(4)}
    for scope in others.values():
        for number in range(100):
            cache.store.put(entry(f"question {number}", scope=scope), VECTOR)
    for number in range(10_000):
        cache.store.put(entry(f"What does lamp number {number} cost?", answer_id=f"{number}"), VECTOR)
        if number % 100 == 99:
            await cache.make_room()
    counts = cache.store.count_by_tenant()
    assert {tenant: counts[tenant] for tenant in others} == dict.fromkeys(others, 100)
    assert 100 <= counts["acme"] <= 200
    assert {notice.tenant for notice in cache.announcer.told} == {"acme"}


async def test_what_was_left_untold_is_told_though_nothing_more_is_dropped(writing: Make, entry: Make) -> None:
    cache = writing(announcer=Away())
    cache.store.put(entry("old"), VECTOR)
    cache.clock.advance(timedelta(days=7).total_seconds())
    with pytest.raises(Unavailable):
        await cache.sweep()
    cache.announcer.away = False
    await cache.sweep()
    assert cache.announcer.told == []
    await AnnounceRest(cache.tell)()
    assert [notice.cause for notice in cache.announcer.told] == [Cause.EXPIRED]
    assert cache.store.waiting(1) == []


async def test_a_flood_does_not_push_out_what_its_own_tenant_asks_for(writing: Make, candidate: Make) -> None:
    cache = writing(bounds=Bounds(600, 100))
    for number in range(20):
        await cache.admit(candidate(f"popular {number}", SOURCE, answer_id=f"popular {number}"))
    cache.store.add_hits({found.id: 40 for found in cache.held().values()})
    for number in range(300):
        await cache.admit(candidate(f"What does lamp number {number} cost?", SOURCE, answer_id=f"{number}"))
    assert sum(name.startswith("popular") for name in cache.held()) >= 19


async def test_the_bound_holds_while_answers_come(writing: Make, candidate: Make) -> None:
    cache, most = writing(bounds=Bounds(600, 100)), 0
    for number in range(200):
        await cache.admit(candidate(f"question {number}", SOURCE, answer_id=f"{number}"))
        most = max(most, cache.store.count("acme"))
    assert 100 <= most <= 105


async def test_there_may_be_room_for_everything(writing: Make, entry: Make) -> None:
    cache = writing(store=MemoryStore())
    cache.store.put(entry("q"), VECTOR)
    await cache.make_room()
    assert cache.announcer.told == []
