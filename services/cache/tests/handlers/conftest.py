"""The writing side of the cache on fakes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryAnnouncer, MemoryStore, WordEncoder
from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.freshness import Change
from plumbline_cache.domain.room import Bounds
from plumbline_cache.domain.withdrawal import Withdrawal
from plumbline_cache.handlers.admit import AdmitAnswer, Admitted
from plumbline_cache.handlers.invalidate import AnnounceDrops, FollowChange
from plumbline_cache.handlers.revalidate import MarkEntries
from plumbline_cache.handlers.room import MakeRoom, RoomWatch, SweepExpired
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.handlers.withdraw import FollowWithdrawal, Withdraw
from plumbline_cache.ports import Announcer, Store
from plumbline_kit.testing import FakeClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Writing:
    """What changes the cache, and what can be seen of it."""

    def __init__(self, store: Store, announcer: Announcer, bounds: Bounds) -> None:
        self.store, self.announcer, self.tallies = store, announcer, Tallies()
        self.clock = FakeClock(NOON + timedelta(hours=1))  # all answers of the tests are older
        turns, clock = InlineTurns(), self.clock
        self.tell = tell = AnnounceDrops(store, announcer, turns)
        self.uses = Uses()
        self.make_room = MakeRoom(store, tell, turns, self.uses, self.tallies, clock, bounds)
        self.admitting = AdmitAnswer(
            store,
            WordEncoder(),
            turns,
            self.tallies,
            clock,
            application="default",
            release="r1",
            time_to_live=timedelta(days=7),
            room=RoomWatch(self.make_room),
        )
        self.sweep = SweepExpired(store, tell, turns, self.tallies, clock)
        self._follow = FollowChange(store, tell, turns, self.tallies, clock)
        self.mark = MarkEntries(store, turns)
        self.withdraw = Withdraw(store, turns, self.tallies, clock)
        self._follow_withdrawal = FollowWithdrawal(self.withdraw, tell)

    async def admit(self, candidate: Candidate) -> Admitted | Refusal:
        return await self.admitting(candidate)

    async def follow(self, *changes: Change) -> None:
        for change in changes:
            await self._follow(change)

    async def follow_withdrawals(self, *withdrawals: Withdrawal) -> None:
        for withdrawal in withdrawals:
            await self._follow_withdrawal(withdrawal)

    def held(self) -> dict[str, Entry]:
        """By answer id."""
        return {entry.answer_id: entry for entry in self.store.of_tenant("acme")}


@pytest.fixture(scope="session")
def writing() -> Any:
    """`writing()` for fakes all through, or on the given parts."""

    def make(store: Store | None = None, announcer: Announcer | None = None, bounds: Bounds | None = None) -> Writing:
        return Writing(store or MemoryStore(), announcer or MemoryAnnouncer(), bounds or Bounds(1_000, 500))

    return make
