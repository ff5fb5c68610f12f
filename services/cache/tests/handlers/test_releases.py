"""What becomes of entries when the service starts with another release."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryAnnouncer, MemoryStore
from plumbline_cache.domain.entry import Scope
from plumbline_cache.domain.freshness import Cause, Notice
from plumbline_cache.handlers.invalidate import AnnounceDrops
from plumbline_cache.handlers.releases import DropOtherReleases
from plumbline_cache.handlers.tallies import Tallies
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
EAST = np.array([1.0, 0.0], dtype=np.float32)


class LateAnnouncer(MemoryAnnouncer):
    """The log is away for the first telling."""

    away = True

    async def entry_invalidated(self, notice: Notice) -> None:
        if self.away:
            self.away = False
            raise Unavailable("the log is away")
        await super().entry_invalidated(notice)


def dropping(store: MemoryStore, announcer: MemoryAnnouncer) -> DropOtherReleases:
    turns, clock = InlineTurns(), SystemClock()
    announce = AnnounceDrops(store, announcer, turns)
    return DropOtherReleases(store, announce, turns, turns, Tallies(), clock, application="default", release="r2")


@pytest.fixture
def store(entry: Make) -> MemoryStore:
    store = MemoryStore()
    for tenant, application, release in [
        ("acme", "default", "r1"),
        ("acme", "default", "r2"),
        ("acme", "shop", "r2"),
        ("globex", "default", "r1"),
    ]:
        scope = Scope(tenant, (), application, release)
        store.put(entry("Why?", ("prices", 1, "h1"), scope=scope, answer_id=f"{application} {release}"), EAST)
    return store


def held(store: MemoryStore, tenant: str) -> list[str]:
    return [entry.answer_id for entry in store.of_tenant(tenant)]


async def test_entries_of_another_release_or_application_go_and_are_told(store: MemoryStore) -> None:
    announcer = MemoryAnnouncer()
    await dropping(store, announcer)()
    assert (held(store, "acme"), held(store, "globex")) == (["default r2"], [])
    assert {(notice.tenant, notice.answer_id, notice.cause) for notice in announcer.told} == {
        ("acme", "default r1", Cause.RELEASE),
        ("acme", "shop r2", Cause.RELEASE),
        ("globex", "default r1", Cause.RELEASE),
    }


async def test_what_could_not_be_told_is_told_the_next_time(store: MemoryStore) -> None:
    announcer = LateAnnouncer()
    drop = dropping(store, announcer)
    with pytest.raises(Unavailable):
        await drop()
    await drop()
    assert len(announcer.told) == 3


async def test_it_is_done_once(store: MemoryStore, entry: Make) -> None:
    drop = dropping(store, MemoryAnnouncer())
    await drop()
    store.put(entry("Why?", ("prices", 1, "h1")), EAST)
    await drop()
    assert len(held(store, "acme")) == 2
