"""Two replicas on one store, each call to it a point where the other may go on: nothing stale is served.

Any replica may hear any event, also the same at once: that is a group before, during and after a rebalance, with
members that do not know yet that a partition is not theirs any more.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plumbline_cache.adapters.memory import MemoryAnnouncer, MemoryStore
from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.domain.freshness import Floor, is_fresh
from services.cache.tests.handlers.test_interleavings import DOCUMENTS, Observed, World

Make = Callable[..., Any]


class Baton:
    """Lets one thread run at a time, and another one at each step."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._changed = rng, threading.Condition()
        self._running: list[int] = []
        self._turn: int | None = None

    def run(self, *jobs: Callable[[], None]) -> None:
        """Return when all are done. Raises what one of them raised."""
        failures: list[BaseException] = []
        self._running = list(range(len(jobs)))
        threads = [threading.Thread(target=self._do, args=(n, job, failures)) for n, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        self._pass_on()
        for thread in threads:
            thread.join()
        for failure in failures:
            raise failure

    def step(self) -> None:
        """Somebody else may go on."""
        mine = self._turn
        if mine is not None:
            self._pass_on()
            self._wait_for(mine)

    def _do(self, number: int, job: Callable[[], None], failures: list[BaseException]) -> None:
        self._wait_for(number)
        try:
            job()
        except BaseException as failure:
            failures.append(failure)
        finally:
            self._running.remove(number)
            self._pass_on()

    def _pass_on(self) -> None:
        with self._changed:
            self._turn = self._rng.choice(self._running) if self._running else None
            self._changed.notify_all()

    def _wait_for(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._turn == number)


class SharedStore(MemoryStore):
    """Each call, and each entry of a list, is a step."""

    def __init__(self, baton: Baton) -> None:
        super().__init__()
        self._baton = baton

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("_") and callable(found):
            super().__getattribute__("_baton").step()
        return found

    def of_tenant(self, tenant: str, document: str | None = None) -> Iterator[Any]:
        for entry in super().of_tenant(tenant, document):
            self._baton.step()
            yield entry


@pytest.fixture
def replicas(candidate: Make, writing: Make) -> Callable[[int], tuple[Baton, World, list[Observed]]]:
    def make(seed: int) -> tuple[Baton, World, list[Observed]]:
        rng = random.Random(seed)
        baton, announcer, world = Baton(rng), MemoryAnnouncer(), World(rng, candidate)
        store = SharedStore(baton)
        return baton, world, [Observed(world, writing(store, announcer)) for _ in range(2)]

    return make


@pytest.mark.parametrize("seed", range(40))
def test_replicas_that_share_a_store_serve_nothing_stale_and_end_settled(replicas: Make, seed: int) -> None:
    baton, world, seen = replicas(seed)
    events = world.events()
    while events:
        batch, events = events[:6], events[6:]
        jobs = [[event for event in batch if world.rng.random() < 0.6] for _ in seen]
        jobs[0] += [event for event in batch if event not in jobs[0] + jobs[1]]
        baton.run(
            *(lambda each=each, job=job: asyncio.run(hear(each, job)) for each, job in zip(seen, jobs, strict=True)),
            lambda: asyncio.run(seen[0].assert_nothing_stale_is_served()),
        )
        seen[0].heard = {d: max(each.heard.get(d, -1) for each in seen) for d in DOCUMENTS}
        asyncio.run(seen[0].assert_nothing_stale_is_served())
    assert_settled(world, seen[0])


async def hear(seen: Observed, events: list[Any]) -> None:
    for event in events:
        await seen.hear(event)


def assert_settled(world: World, seen: Observed) -> None:
    held, floors = seen.cache.held(), seen.cache.store.floors("acme", DOCUMENTS)
    told = {notice.answer_id for notice in seen.cache.announcer.told}
    assert all(floor.changes == () for floor in floors.values())
    assert all(is_fresh(entry, floors) for entry in held.values())
    assert {answer.answer_id for answer in asyncio.run(seen.served())} == set(held)
    assert not any(world.is_dropped(answer_id) for answer_id in held)
    assert all(world.is_dropped(answer_id) for answer_id in told)


class PutThen(MemoryStore):
    """Something happens elsewhere right after an entry was put."""

    then: Callable[[], None] = staticmethod(lambda: None)

    def put(self, entry: Any, vector: Any) -> None:
        super().put(entry, vector)
        self.then()


async def test_an_answer_whose_source_changes_while_it_is_kept_goes_again(
    writing: Make, candidate: Make, change: Make
) -> None:
    store = PutThen()
    here, there = writing(store), writing(store)
    answer: Candidate = candidate("Why?", ("prices", 1, "h1"))
    raised = change("prices", 1, 2, removed=["h1"])
    # The other replica has raised the floor and looked for entries before this one was there.
    store.then = lambda: store.keep_floor(floor_after(store, raised).settled()) and None
    assert await here.admit(answer) is Refusal.SOURCE_CHANGED
    assert there.held() == {}


class CarriedBefore(MemoryStore):
    """Something happens elsewhere right before an entry is carried for the first time."""

    then: Callable[[], object] | None = None

    def carry(self, held: Any, carried: Any) -> bool:
        if (then := self.then) is not None:
            self.then = None
            then()
        return super().carry(held, carried)


async def test_changes_of_two_documents_both_carry_an_entry_that_rests_on_them(
    writing: Make, candidate: Make, change: Make
) -> None:
    store = CarriedBefore()
    cache = writing(store)
    await cache.admit(candidate("Why?", ("prices", 1, "h1"), ("manual", 1, "h2")))
    manual = floor_after(store, change("manual", 1, 5))

    def elsewhere() -> None:
        store.keep_floor(manual.settled())
        [held] = store.of_tenant("acme")
        store.carry(held, manual.carry(held))

    store.then = elsewhere
    await cache.follow(change("prices", 1, 2))
    [entry] = store.of_tenant("acme")
    assert [(source.document, source.version) for source in entry.sources] == [("prices", 2), ("manual", 5)]
    assert is_fresh(entry, store.floors("acme", DOCUMENTS))


async def test_an_answer_that_a_crash_left_below_a_settled_floor_goes_when_it_is_heard_again(
    writing: Make, candidate: Make, change: Make
) -> None:
    store = MemoryStore()
    cache = writing(store)
    answer: Candidate = candidate("Why?", ("prices", 1, "h1"))
    await cache.admit(answer)
    store.keep_floor(floor_after(store, change("prices", 1, 2, removed=["h1"])).settled())
    assert await cache.admit(answer) is Refusal.SOURCE_CHANGED
    assert cache.held() == {}


def floor_after(store: MemoryStore, change: Any) -> Any:
    held = store.floors(change.tenant, [change.document]).get(change.document)
    return (held or Floor(change.tenant, change.document)).after(change)
