"""`Ledger` on PostgreSQL, which all replicas share."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool

from plumbline_generation.domain.budget import Account, Reservation, Spent
from plumbline_kit.errors import Unavailable

Connection = psycopg.AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

CONNECTIONS: Final = 8
WAIT_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 5
SCHEMA_LOCK: Final = 7_102
"""Keeps two replicas that start together from creating the same table."""
KEPT_DAYS: Final = 35
"""So long reservations that nobody settled are kept, for somebody who looks what happened."""

SCHEMA: Final = (
    "CREATE SCHEMA IF NOT EXISTS generation",
    """
    CREATE TABLE IF NOT EXISTS generation.token_day (
        tenant_id text NOT NULL,
        day       date NOT NULL,
        used      bigint NOT NULL DEFAULT 0,
        reserved  bigint NOT NULL DEFAULT 0,
        granted   bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant_id, day)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS generation.token_reservation (
        reservation_id uuid PRIMARY KEY,
        tenant_id      text NOT NULL,
        day            date NOT NULL,
        tokens         bigint NOT NULL,
        expire_time    timestamptz NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS token_reservation_day ON generation.token_reservation (tenant_id, day)",
    f"DELETE FROM generation.token_reservation WHERE day < current_date - {KEPT_DAYS}",
)
# One statement: the row of the day is locked while it decides, so that no two calls are given the same tokens.
# `granted` is what the newest reservation was given, which RETURNING could not tell before PostgreSQL 18.
RESERVE: Final = """
WITH given AS (
    INSERT INTO generation.token_day AS one (tenant_id, day, reserved, granted)
    SELECT %(tenant)s, %(day)s, LEAST(%(most)s, %(budget)s), LEAST(%(most)s, %(budget)s)
    ON CONFLICT (tenant_id, day) DO UPDATE SET
        reserved = one.reserved + LEAST(%(most)s, %(budget)s - one.used - one.reserved),
        granted = LEAST(%(most)s, %(budget)s - one.used - one.reserved)
    WHERE %(budget)s - one.used - one.reserved >= %(least)s
    RETURNING granted
)
INSERT INTO generation.token_reservation (reservation_id, tenant_id, day, tokens, expire_time)
SELECT %(id)s, %(tenant)s, %(day)s, granted, %(until)s FROM given RETURNING tokens
"""
SETTLE: Final = """
WITH gone AS (
    DELETE FROM generation.token_reservation WHERE reservation_id = %(id)s RETURNING tenant_id, day, tokens
)
UPDATE generation.token_day AS one SET used = one.used + %(used)s, reserved = one.reserved - gone.tokens
FROM gone WHERE one.tenant_id = gone.tenant_id AND one.day = gone.day RETURNING one.used, one.reserved
"""
SPENT: Final = """
SELECT one.used + late.tokens, one.reserved - late.tokens
FROM generation.token_day AS one, (
    SELECT COALESCE(SUM(tokens), 0)::bigint AS tokens FROM generation.token_reservation
    WHERE tenant_id = %(tenant)s AND day = %(day)s AND expire_time <= %(now)s
) AS late
WHERE one.tenant_id = %(tenant)s AND one.day = %(day)s
"""


class PostgresLedger:
    """Days in the table `generation.token_day`. It connects, and makes what is missing, when it is first used."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def reserve(
        self, account: Account, least: int, most: int, *, budget: int, until: datetime
    ) -> Reservation | None:
        """See `Ledger`. Raises `Unavailable`."""
        if budget < least:
            return None
        identity = str(uuid.uuid4())
        values = {"least": least, "most": most, "budget": budget, "until": until, "id": identity}
        row = await self._row(RESERVE, _of(account) | values)
        return Reservation(identity, account, row[0]) if row else None

    async def settle(self, reservation: Reservation, used: int) -> Spent | None:
        """See `Ledger`. Raises `Unavailable`."""
        row = await self._row(SETTLE, {"id": reservation.id, "used": used})
        return Spent(*row) if row else None

    async def spent(self, account: Account, now: datetime) -> Spent:
        """See `Ledger`. Raises `Unavailable`."""
        row = await self._row(SPENT, _of(account) | {"now": now})
        return Spent(*row) if row else Spent()

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._pool:
            await self._pool.close()

    async def _row(self, statement: str, values: dict[str, Any]) -> Any:
        async with self._connection() as connection:
            return await (await connection.execute(statement, values)).fetchone()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Each statement is a transaction of its own. Missing rights are "away" too: no answer fails for them."""
        try:
            async with (await self._ready()).connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise Unavailable(f"PostgreSQL keeps no budgets ({type(error).__name__})") from error

    async def _ready(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await self._opened()
            return self._pool

    async def _opened(self) -> Pool:
        """The first connection is made beside the pool, which would try for seconds where nobody listens."""
        async with await psycopg.AsyncConnection.connect(self._dsn, connect_timeout=CONNECT_SECONDS) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            for statement in SCHEMA:
                await connection.execute(statement)
        pool: Pool = AsyncConnectionPool(
            self._dsn,
            open=False,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=WAIT_SECONDS,
            kwargs={"autocommit": True, "connect_timeout": CONNECT_SECONDS},
            check=AsyncConnectionPool.check_connection,
        )
        await pool.open()
        return pool


def _of(account: Account) -> dict[str, Any]:
    return {"tenant": account.tenant, "day": account.day}
