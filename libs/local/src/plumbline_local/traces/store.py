"""Spans in PostgreSQL: written in batches, kept within bounds, read by trace or by answer."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from plumbline_local.traces.spans import StoredSpan

ANSWER_ID: Final = "plumbline.answer.id"
SCHEMA: Final = """
CREATE SCHEMA IF NOT EXISTS traces;
CREATE TABLE IF NOT EXISTS traces.span (
    trace_id text NOT NULL,
    span_id text NOT NULL,
    parent_id text NOT NULL,
    service text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    start_ns bigint NOT NULL,
    end_ns bigint NOT NULL,
    status text NOT NULL,
    status_message text NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (trace_id, span_id)
);
CREATE INDEX IF NOT EXISTS span_start ON traces.span (start_ns);
CREATE INDEX IF NOT EXISTS span_answer ON traces.span ((attributes ->> 'plumbline.answer.id'))
    WHERE attributes ? 'plumbline.answer.id';
"""
COLUMNS: Final = tuple(field.name for field in fields(StoredSpan))
INSERT: Final = (
    f"INSERT INTO traces.span ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT DO NOTHING"
)
PRUNE: Final = """
DELETE FROM traces.span WHERE start_ns < %(oldest_ns)s OR start_ns < (
    SELECT start_ns FROM traces.span ORDER BY start_ns DESC OFFSET %(most)s - 1 LIMIT 1
)
"""


class SpanStore:
    """Writes spans. A span that is already there stays as it is, so a batch may be sent twice."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        """Create the schema where it is missing."""
        async with self._pool.connection() as connection:
            await connection.execute(SCHEMA.encode())

    async def add(self, spans: Sequence[StoredSpan]) -> None:
        """Keep *spans*, all or none."""
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(INSERT.encode(), [_row(span) for span in spans])

    async def prune(self, *, oldest_ns: int, most: int) -> int:
        """Remove spans that started before *oldest_ns*, and the oldest beyond *most*; how many that were."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(PRUNE.encode(), {"oldest_ns": oldest_ns, "most": most})
            return cursor.rowcount


def _row(span: StoredSpan) -> tuple[Any, ...]:
    values = ((name, getattr(span, name)) for name in COLUMNS)
    return tuple(Jsonb(value) if name == "attributes" else value for name, value in values)


async def spans_of_trace(dsn: str, trace_id: str) -> list[StoredSpan]:
    """The spans of a trace that have arrived by now, by start; none if the trace is unknown."""
    query = f"SELECT {', '.join(COLUMNS)} FROM traces.span WHERE trace_id = %s ORDER BY start_ns, span_id"
    async with (
        await AsyncConnection.connect(dsn) as connection,
        connection.cursor(row_factory=class_row(StoredSpan)) as cursor,
    ):
        await cursor.execute(query.encode(), (trace_id,))
        return await cursor.fetchall()


async def trace_of_answer(dsn: str, answer_id: str) -> str | None:
    """The trace in which an answer came to be: that of the earliest span that names it. None if none does yet."""
    query = (
        "SELECT trace_id FROM traces.span WHERE attributes ? %s AND attributes ->> %s = %s ORDER BY start_ns LIMIT 1"
    )
    async with await AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute(query, (ANSWER_ID, ANSWER_ID, answer_id))
        row = await cursor.fetchone()
        return row[0] if row else None
