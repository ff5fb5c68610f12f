"""`EvaluationStore` on PostgreSQL: inbox, evaluation and outbox in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

import psycopg
import structlog
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation, Label, Score
from plumbline_evaluation.translation import completed_to_proto
from plumbline_kit.bus import outbox
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable

log = structlog.get_logger()

Connection = psycopg.AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

INBOX: Final = "evaluation"
CONNECTIONS: Final = 8
WAIT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
SCHEMA_LOCK: Final = 7_104
"""Keeps two replicas that start together from creating the same table."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS evaluation (
    evaluation_id  uuid PRIMARY KEY,
    tenant_id      text NOT NULL,
    answer_id      text NOT NULL,
    application_id text NOT NULL,
    release_id     text NOT NULL,
    verdict        text NOT NULL,
    scores         jsonb NOT NULL,
    evaluate_time  timestamptz NOT NULL,
    UNIQUE (tenant_id, answer_id)
)
"""
INSERT: Final = """
INSERT INTO evaluation
    (evaluation_id, tenant_id, answer_id, application_id, release_id, verdict, scores, evaluate_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
FIND: Final = "SELECT scores, evaluate_time FROM evaluation WHERE tenant_id = %s AND answer_id = %s"


class PostgresEvaluations:
    """Evaluations in the table `evaluation` of the connections' schema."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def record(self, completed: CompletedEvaluation, *, event_id: str) -> bool:
        """See `EvaluationStore`."""
        async with _connection(self._pool) as connection:
            if not await outbox.Inbox.first_time(connection, INBOX, event_id):
                return False
            if not await _insert(connection, completed):
                return False
            await outbox.Outbox.add(
                connection,
                EVALUATION_COMPLETED,
                completed.subject.answer_id,
                completed_to_proto(completed),
                event_id=completed.id,
            )
        return True

    async def find(self, tenant: str, answer_id: str) -> Evaluation | None:
        """See `EvaluationStore`."""
        async with _connection(self._pool) as connection:
            cursor = await connection.execute(FIND, (tenant, answer_id))
            row = await cursor.fetchone()
        return Evaluation(tuple(map(_score, row[0])), row[1]) if row else None


def open_pool(dsn: str) -> Pool:
    """A pool, still closed, of connections that work in the schema `evaluation`."""
    return AsyncConnectionPool(
        dsn,
        open=False,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=WAIT_SECONDS,
        kwargs={"options": "-c search_path=evaluation", "connect_timeout": round(WAIT_SECONDS)},
        check=AsyncConnectionPool.check_connection,
    )


async def create_schema(pool: Pool, clock: Clock) -> None:
    """Make the tables that are missing; wait for a PostgreSQL that is not there yet."""
    while True:
        try:
            async with _connection(pool) as connection:
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
                await connection.execute("CREATE SCHEMA IF NOT EXISTS evaluation")
                await connection.execute(SCHEMA)
                await connection.execute(outbox.SCHEMA)
            return
        except Unavailable as error:
            log.warning("postgres_away", reason=str(error))
            await clock.sleep(RETRY_SECONDS)


@asynccontextmanager
async def _connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction, which ends with the block. Raises `Unavailable` when the database is away."""
    try:
        async with pool.connection() as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable("PostgreSQL is away") from error


async def _insert(connection: Connection, completed: CompletedEvaluation) -> bool:
    subject, evaluation = completed.subject, completed.evaluation
    scores = Jsonb([asdict(score) | {"label": score.label.value} for score in evaluation.scores])
    row = (completed.id, subject.tenant, subject.answer_id, subject.application, subject.release)
    cursor = await connection.execute(INSERT, (*row, evaluation.verdict.value, scores, evaluation.time))
    return cursor.rowcount == 1


def _score(stored: dict[str, Any]) -> Score:
    return Score(**stored | {"label": Label(stored["label"])})
