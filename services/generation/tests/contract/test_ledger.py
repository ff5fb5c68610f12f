"""One suite for every `Ledger`: the one in memory, and the one on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from plumbline_generation.adapters.memory_ledger import MemoryLedger
from plumbline_generation.adapters.postgres_ledger import PostgresLedger
from plumbline_generation.domain.budget import Account, Reservation, Spent
from plumbline_generation.ports import Ledger

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=1)
TODAY = Account("acme", NOW.date())


@pytest.fixture
async def shared(database: str) -> AsyncIterator[Ledger]:
    ledger = PostgresLedger(database)
    yield ledger
    await ledger.aclose()


@pytest.fixture(params=["memory", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return MemoryLedger() if request.param == "memory" else request.getfixturevalue("shared")


async def reserved(ledger: Ledger, most: int, *, budget: int = 100, account: Account = TODAY) -> Reservation:
    reservation = await ledger.reserve(account, 1, most, budget=budget, until=UNTIL)
    assert reservation
    return reservation


async def test_what_is_reserved_is_used_by_nobody_else(ledger: Ledger) -> None:
    assert (await reserved(ledger, 60)).tokens == 60
    assert (await reserved(ledger, 60)).tokens == 40
    assert await ledger.reserve(TODAY, 1, 60, budget=100, until=UNTIL) is None
    assert await ledger.spent(TODAY, NOW) == Spent(used=0, reserved=100)


async def test_less_than_the_least_is_not_given(ledger: Ledger) -> None:
    assert await ledger.reserve(TODAY, 101, 200, budget=100, until=UNTIL) is None
    await reserved(ledger, 60)
    assert await ledger.reserve(TODAY, 41, 60, budget=100, until=UNTIL) is None
    assert await ledger.spent(TODAY, NOW) == Spent(used=0, reserved=60)


async def test_what_was_not_used_is_given_back(ledger: Ledger) -> None:
    first = await reserved(ledger, 100)
    assert await ledger.settle(first, 30) == Spent(used=30, reserved=0)
    assert (await reserved(ledger, 100)).tokens == 70


async def test_a_reservation_is_settled_once(ledger: Ledger) -> None:
    first = await reserved(ledger, 50)
    await ledger.settle(first, 30)
    assert await ledger.settle(first, 30) is None
    assert await ledger.spent(TODAY, NOW) == Spent(used=30, reserved=0)


async def test_more_than_was_reserved_counts_too(ledger: Ledger) -> None:
    await ledger.settle(await reserved(ledger, 100), 120)
    assert await ledger.spent(TODAY, NOW) == Spent(used=120, reserved=0)
    assert await ledger.reserve(TODAY, 1, 1, budget=100, until=UNTIL) is None


async def test_what_a_killed_process_reserved_counts_as_used_in_the_end(ledger: Ledger) -> None:
    lost = await reserved(ledger, 60)
    await reserved(ledger, 10)
    assert await ledger.spent(TODAY, UNTIL - timedelta(seconds=1)) == Spent(used=0, reserved=70)
    assert await ledger.spent(TODAY, UNTIL) == Spent(used=70, reserved=0)
    assert await ledger.settle(lost, 20) == Spent(used=20, reserved=10)


async def test_tenants_and_days_have_tokens_of_their_own(ledger: Ledger) -> None:
    others = Account("globex", TODAY.day), Account("acme", date(2026, 1, 3))
    for account in (TODAY, *others):
        assert (await reserved(ledger, 100, account=account)).tokens == 100
    yesterday = await reserved(ledger, 50, account=Account("acme", date(2026, 1, 1)))
    assert await ledger.settle(yesterday, 5) == Spent(used=5, reserved=0)


async def test_many_at_once_are_given_the_budget_and_no_more(ledger: Ledger) -> None:
    given = await asyncio.gather(*(ledger.reserve(TODAY, 3, 7, budget=100, until=UNTIL) for _ in range(50)))
    tokens = [one.tokens for one in given if one]
    assert sum(tokens) == 98
    assert set(tokens) == {7}
    await asyncio.gather(*(ledger.settle(one, 5) for one in given if one))
    assert await ledger.spent(TODAY, NOW) == Spent(used=70, reserved=0)
