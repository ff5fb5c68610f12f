"""What only PostgreSQL can do: be away, come back, and be set up twice at once."""

import asyncio

import pytest

from plumbline_evaluation.adapters.postgres import Pool, PostgresEvaluations, create_schema, open_pool
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation
from plumbline_evaluation.testing import a_subject
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock

COMPLETED = CompletedEvaluation("6b3f2c1e-0000-5000-8000-000000000001", a_subject(), Evaluation((), FakeClock().now()))


async def test_two_replicas_may_make_the_tables_at_once(database: str) -> None:
    async with open_pool(database) as pool:
        await asyncio.gather(*(create_schema(pool, SystemClock()) for _ in range(4)))
        assert await PostgresEvaluations(pool).record(COMPLETED, event_id="event-1")


async def test_broken_connections_are_replaced(pool: Pool) -> None:
    store = PostgresEvaluations(pool)
    async with pool.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await store.record(COMPLETED, event_id="event-1")


async def test_a_database_that_is_away_is_unavailable_and_keeps_nothing(pool: Pool) -> None:
    store = PostgresEvaluations(pool)
    await pool.close()
    with pytest.raises(Unavailable):
        await store.record(COMPLETED, event_id="event-1")
    with pytest.raises(Unavailable):
        await store.find("acme", "answer-1")


class OpeningClock(FakeClock):
    """Whoever waits finds the database there afterwards."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await self.pool.open()


async def test_the_tables_wait_for_a_database_that_comes_later(database: str) -> None:
    pool = open_pool(database)
    clock = OpeningClock(pool)
    await create_schema(pool, clock)
    assert clock.monotonic() == 1
    assert await PostgresEvaluations(pool).find("acme", "answer-1") is None
    await pool.close()
