"""Publishes what lies in the outbox, each event once."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, LiteralString, Protocol

import psycopg
import structlog
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.headers import TRACEPARENT, as_bytes, event_headers
from plumbline_kit.bus.outbox.schema import CHANNEL
from plumbline_kit.bus.records import Partition
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.bus.transactions import Outgoing, Transactions
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.kafka import sending

log = structlog.get_logger()

Connection = psycopg.AsyncConnection[Any]
Positions = Mapping[Partition, int]

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 16_000_000
POLL_SECONDS: Final = 2.0
"""How often to look without having been told; a notification normally comes first."""
STANDBY_SECONDS: Final = 1.0

LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('plumbline_outbox'), hashtext(current_schema()))"
OLDEST: Final = """
SELECT id, topic, key, body, event_id, event_time, traceparent
FROM (SELECT *, sum(coalesce(octet_length(body), 0)) OVER (ORDER BY id) AS total
      FROM (SELECT * FROM outbox ORDER BY id LIMIT %s) AS oldest) AS summed
WHERE total - coalesce(octet_length(body), 0) <= %s ORDER BY id
"""
TOPICS: Final = "SELECT DISTINCT topic FROM outbox"
DELETE: Final = "DELETE FROM outbox WHERE id = ANY(%s)"
DELETE_EVENTS: Final = """
DELETE FROM outbox WHERE (topic, event_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""
STATE: Final = "SELECT transactional_id, positions FROM outbox_relay"
REMEMBER: Final = "UPDATE outbox_relay SET positions = %s"


class Transacts(Protocol):
    """A publisher that can open transactions."""

    source: str

    def transactions(self, name: str) -> Transactions:
        """A writer called *name*; see `Transactions`."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One event in the outbox."""

    id: int
    topic: str
    key: str
    body: bytes | None
    event_id: str
    event_time: datetime
    traceparent: str


class OutboxRelay:
    """Empties the outbox of one schema: of several relays one works, the others stand by.

    A row is deleted after its record is committed in Kafka, so a crash between the two leaves rows that were
    published. Therefore a relay that takes over first shuts out its predecessor (after which none of its records
    can appear any more) and then deletes the rows whose event ids the topics hold since the positions that were
    remembered before anything was sent. Readers of committed records see each event once.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        publisher: Transacts,
        topics: Sequence[Topic[Any]],
        clock: Clock,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        """*topics* are all that may lie in the outbox. One connection of the *pool* is kept while the relay works."""
        self._pool = pool
        self._publisher = publisher
        self._topics = {topic.name: topic for topic in topics}
        self._clock = clock
        self._backoff = backoff or Backoff(most=5.0)
        self._failures = 0
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()
        self._started = False

    async def run(self) -> None:
        """Publish until `stop`; wait for PostgreSQL and Kafka as long as it takes.

        Raises `LookupError` for a row of a topic that it does not know.
        """
        self._started = True
        try:
            while not self._stopping.is_set():
                await self._serve_or_back_off()
        finally:
            self._finished.set()

    async def stop(self) -> None:
        """Finish the batch in hand. Rows that are left wait for the next relay."""
        self._stopping.set()
        if self._started:
            await self._finished.wait()

    async def _serve_or_back_off(self) -> None:
        try:
            async with self._pool.connection() as connection:
                try:
                    await self._serve(connection)
                finally:
                    await connection.close()  # gives the lock back, whatever happened
        except (Unavailable, psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._failures += 1
            wait = self._backoff.seconds(self._failures)
            log.warning("outbox_waits", seconds=round(wait, 2), reason=str(error))
            await unless_set(self._stopping, self._clock.sleep(wait))

    async def _serve(self, connection: Connection) -> None:
        await connection.set_autocommit(True)
        while await _rows(connection, LOCK) != [(True,)]:
            await unless_set(self._stopping, self._clock.sleep(STANDBY_SECONDS))
            if self._stopping.is_set():
                return
        [(name, remembered)] = await _rows(connection, STATE)
        transactions = self._publisher.transactions(name)
        try:
            await transactions.open()
            positions = await self._recover(connection, transactions, _from_json(remembered))
            await self._relay(connection, transactions, positions)
        finally:
            await transactions.close()

    async def _recover(self, connection: Connection, transactions: Transactions, since: Positions) -> Positions:
        """Delete what the predecessor published but could not delete; remember where we begin."""
        waiting = {topic for (topic,) in await _rows(connection, TOPICS)}
        if waiting and since:
            published = await transactions.event_ids(waiting, since)
            cursor = await connection.execute(DELETE_EVENTS, _columns(published))
            log.info("outbox_taken_over", published_before=cursor.rowcount)
        begin = await transactions.ends(self._topics)
        await connection.execute(REMEMBER, (_as_json(begin),))
        return begin

    async def _relay(self, connection: Connection, transactions: Transactions, positions: Positions) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        while not self._stopping.is_set():
            rows = await _oldest(connection)
            if not rows:
                await unless_set(self._stopping, _told(connection))
                continue
            positions = {**positions, **await self._publish(transactions, rows)}
            async with connection.transaction():
                await connection.execute(DELETE, ([row.id for row in rows],))
                await connection.execute(REMEMBER, (_as_json(positions),))
            self._failures = 0

    async def _publish(self, transactions: Transactions, rows: Sequence[Row]) -> Positions:
        with ExitStack() as spans:
            return await transactions.send([self._outgoing(row, spans) for row in rows])

    def _outgoing(self, row: Row, spans: ExitStack) -> Outgoing:
        """The record of *row*; its send span, in the trace of what added it, lasts as long as *spans*."""
        topic = self._topics.get(row.topic)
        if topic is None:
            raise LookupError(f"the outbox holds an event for {row.topic}, which this relay does not publish")
        source, time = self._publisher.source, row.event_time.astimezone(UTC)
        headers = event_headers(topic, key=row.key, source=source, time=time, event_id=row.event_id)
        attributes = {names.MESSAGING_MESSAGE_ID: row.event_id, names.MESSAGING_KEY: row.key}
        parent = {TRACEPARENT: row.traceparent} if row.traceparent else {}
        spans.enter_context(sending(row.topic, headers, attributes, parent=parent))
        return Outgoing(row.topic, row.key.encode(), row.body, as_bytes(headers))


async def unless_set(event: asyncio.Event, step: Coroutine[Any, Any, None]) -> None:
    """Await *step*, but not beyond the moment when *event* is set."""
    stepping, stopped = asyncio.ensure_future(step), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([stepping, stopped], return_when=asyncio.FIRST_COMPLETED)
        if stepping.done():
            stepping.result()
    finally:
        stepping.cancel()
        stopped.cancel()
        await asyncio.gather(stepping, stopped, return_exceptions=True)


async def _told(connection: Connection) -> None:
    """Return when a transaction with new rows has committed, or after a while."""
    async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
        pass


async def _oldest(connection: Connection) -> list[Row]:
    async with connection.cursor(row_factory=class_row(Row)) as cursor:
        await cursor.execute(OLDEST, (BATCH_ROWS, BATCH_BYTES))
        return await cursor.fetchall()


async def _rows(connection: Connection, query: LiteralString) -> list[tuple[Any, ...]]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


def _columns(events: Collection[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [topic for topic, _ in events], [event_id for _, event_id in events]


def _as_json(positions: Positions) -> Jsonb:
    return Jsonb([[topic, number, offset] for (topic, number), offset in positions.items()])


def _from_json(entries: list[tuple[str, int, int]]) -> Positions:
    return {Partition(topic, number): offset for topic, number, offset in entries}
