"""What only PostgreSQL can do: be shared, be away, and come back."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from plumbline_generation.adapters.postgres_ledger import PostgresLedger
from plumbline_generation.domain.budget import Account, Spent
from plumbline_kit.errors import Unavailable

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TODAY, UNTIL = Account("acme", NOW.date()), NOW + timedelta(minutes=1)


async def test_replicas_share_a_budget_and_may_make_its_tables_at_once(database: str) -> None:
    replicas = [PostgresLedger(database) for _ in range(3)]
    given = await asyncio.gather(
        *(replica.reserve(TODAY, 10, 10, budget=100, until=UNTIL) for replica in replicas for _ in range(5))
    )
    assert len([one for one in given if one]) == 10
    assert [await replica.spent(TODAY, NOW) for replica in replicas] == [Spent(reserved=100)] * 3
    for replica in replicas:
        await replica.aclose()


async def test_a_database_that_is_away_is_unavailable_until_it_is_back(database: str) -> None:
    ledger = PostgresLedger(f"{database.rpartition('/')[0]}/not_there_yet")
    with pytest.raises(Unavailable):
        await ledger.spent(TODAY, NOW)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("CREATE DATABASE not_there_yet")
        assert await ledger.spent(TODAY, NOW) == Spent()
        await ledger.aclose()
        await connection.execute("DROP DATABASE not_there_yet WITH (FORCE)")


async def test_broken_connections_are_replaced(database: str) -> None:
    ledger = PostgresLedger(database)
    assert await ledger.reserve(TODAY, 1, 10, budget=100, until=UNTIL)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await ledger.spent(TODAY, NOW) == Spent(reserved=10)
    await ledger.aclose()


async def test_a_role_without_rights_is_unavailable_and_no_bug(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        try:
            server = database.rpartition("@")[2]
            with pytest.raises(Unavailable, match="InsufficientPrivilege"):
                await PostgresLedger(f"postgresql://reader:reader@{server}").spent(TODAY, NOW)
        finally:
            await connection.execute("DROP ROLE reader")
