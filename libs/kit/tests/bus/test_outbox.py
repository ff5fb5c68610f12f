"""Outbox and inbox on a real PostgreSQL; the relay on a real broker where it matters, also when it is killed."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_kit.bus.outbox import SCHEMA, Inbox, Outbox, OutboxRelay
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry import tracer
from plumbline_kit.testing import eventually

KILLS = 10
REWIND = """
UPDATE outbox_relay SET positions =
    (SELECT jsonb_agg(jsonb_build_array(place->>0, (place->>1)::int, 0)) FROM jsonb_array_elements(positions) AS place)
"""


@pytest.fixture
async def pool(database):
    async with AsyncConnectionPool(
        database, min_size=1, max_size=6, check=AsyncConnectionPool.check_connection
    ) as pool:
        async with pool.connection() as connection:
            await connection.execute(SCHEMA)
        yield pool


@pytest.fixture
def add(pool, topic):
    """Adds events, each in its own transaction; the version of the n-th is n."""

    async def add(count, *, begin=0, keys=3):
        for number in range(begin, begin + count):
            async with pool.connection() as connection:
                body = DocumentChanged(new_version=number)
                await Outbox.add(connection, topic, f"acme/{number % keys}", body, event_id=f"e-{number}")

    return add


@pytest.fixture
def waiting(pool):
    async def waiting():
        async with pool.connection() as connection:
            return (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0]

    async def is_empty():
        return await waiting() == 0

    waiting.is_empty = is_empty
    return waiting


@contextlib.asynccontextmanager
async def running(relay):
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await relay.stop()
        await task


def versions(records):
    return [DocumentChanged.FromString(record.value).new_version for record in records]


def event_ids(records):
    return [record.header_texts()["ce_id"] for record in records]


async def test_committed_events_are_published_in_order_and_leave_the_outbox(bus, topic, pool, add, waiting):
    await add(30)
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty)
    records = await bus.raw_records(topic.name)
    assert sorted(versions(records)) == list(range(30))
    for key in {record.key for record in records}:
        of_key = versions(record for record in records if record.key == key)
        assert of_key == sorted(of_key)


async def test_an_event_of_a_transaction_that_rolls_back_is_never_published(bus, topic, pool, add, waiting):
    with contextlib.suppress(ZeroDivisionError):
        async with pool.connection() as connection:
            await Outbox.add(connection, topic, "k", DocumentChanged(), event_id="never")
            raise ZeroDivisionError
    await add(1)
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty)
    assert event_ids(await bus.raw_records(topic.name)) == ["e-0"]


async def test_a_commit_wakes_the_relay_before_its_next_look(bus, topic, pool, add, waiting, monkeypatch):
    monkeypatch.setattr("plumbline_kit.bus.outbox.relay.POLL_SECONDS", 3600.0)
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await add(1)
        await eventually(waiting.is_empty)
        await add(1, begin=1)
        await eventually(waiting.is_empty)


async def test_the_send_span_continues_the_trace_of_what_added_the_event(bus, topic, pool, add, waiting, spans):
    with tracer().start_as_current_span("evaluate") as span:
        await add(1)
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty)
    [send] = [one for one in spans.get_finished_spans() if one.name == f"send {topic.name}"]
    assert send.parent.span_id == span.get_span_context().span_id
    [record] = await bus.raw_records(topic.name)
    assert f"{send.context.span_id:016x}" in record.header_texts()["traceparent"]


async def test_an_event_that_still_waits_is_not_added_again(bus, topic, pool, add, waiting):
    await add(1)
    await add(1)
    assert await waiting() == 1


async def test_an_oversized_event_is_refused_in_the_callers_transaction(topic, pool):
    with pytest.raises(Invalid, match="too large"):
        async with pool.connection() as connection:
            await Outbox.add(connection, topic, "k", DocumentChanged(document_id="x" * 4_000_000), event_id="e")


async def test_one_relay_works_and_the_other_takes_over(bus, topic, pool, add, waiting):
    first = OutboxRelay(pool, bus.publisher, [topic], SystemClock())
    second = OutboxRelay(pool, bus.publisher, [topic], SystemClock())
    async with running(second):
        async with running(first):
            await add(20)
            await eventually(waiting.is_empty)
        await add(20, begin=20)
        await eventually(waiting.is_empty)
    assert sorted(versions(await bus.raw_records(topic.name))) == list(range(40))


async def test_an_event_for_an_unknown_topic_stops_the_relay(bus, topic, pool, add):
    await add(1)
    with pytest.raises(LookupError, match=topic.name):
        await OutboxRelay(pool, bus.publisher, [], SystemClock()).run()


async def test_a_relay_whose_connection_is_cut_goes_on(bus, topic, pool, add, waiting):
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await add(5)
        await eventually(waiting.is_empty)
        async with pool.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        await add(5, begin=5)
        await eventually(waiting.is_empty)
    assert sorted(versions(await bus.raw_records(topic.name))) == list(range(10))


async def test_rows_that_were_published_but_not_deleted_are_not_published_again(bus, topic, pool, add, waiting):
    await add(5)
    async with pool.connection() as connection:
        await connection.execute("CREATE TABLE kept AS SELECT * FROM outbox")
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty)
    async with pool.connection() as connection:  # as if the relay had died before it deleted them
        await connection.execute("INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept")
        await connection.execute(REWIND)
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty)
    assert sorted(versions(await bus.raw_records(topic.name))) == list(range(5))


@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.parametrize("servers", ["kafka"], indirect=True)
async def test_a_relay_killed_at_many_moments_publishes_each_event_once(
    servers, database, bus, topic, pool, add, waiting
):
    random, total, stop = Random(20_261_124), 0, asyncio.Event()

    async def keep_adding():
        nonlocal total
        while not stop.is_set():
            await add(1, begin=total)
            total += 1

    adding = asyncio.create_task(keep_adding())
    for _ in range(KILLS):
        with relay_process(database, servers, topic) as process:
            was_there = await oldest_row(pool)
            await eventually(lambda was_there=was_there: is_gone(pool, was_there), seconds=30)
            await asyncio.sleep(random.random() * 0.2)
            process.kill()
    stop.set()
    await adding
    async with running(OutboxRelay(pool, bus.publisher, [topic], SystemClock())):
        await eventually(waiting.is_empty, seconds=60)
    assert sorted(versions(await bus.raw_records(topic.name))) == list(range(total))


@contextlib.contextmanager
def relay_process(database, servers, topic):
    script = str(Path(__file__).with_name("relay_process.py"))
    process = subprocess.Popen([sys.executable, script, database, servers, topic.name])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def oldest_row(pool):
    async with pool.connection() as connection:
        return (await (await connection.execute("SELECT min(id) FROM outbox")).fetchone())[0]


async def is_gone(pool, row):
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT 1 FROM outbox WHERE id = %s", (row,))).fetchone() is None


async def test_an_event_is_new_to_a_group_once(pool):
    async with pool.connection() as connection:
        assert await Inbox.first_time(connection, "g", "e")
        assert not await Inbox.first_time(connection, "g", "e")
        assert await Inbox.first_time(connection, "other", "e")


async def test_an_event_whose_effect_rolled_back_is_new_again(pool):
    with contextlib.suppress(ZeroDivisionError):
        async with pool.connection() as connection:
            assert await Inbox.first_time(connection, "g", "e")
            raise ZeroDivisionError
    async with pool.connection() as connection:
        assert await Inbox.first_time(connection, "g", "e")


async def test_two_transactions_cannot_both_be_the_first(pool, database):
    async with pool.connection() as connection, await psycopg.AsyncConnection.connect(database) as other:
        assert await Inbox.first_time(connection, "g", "e")
        second = asyncio.create_task(Inbox.first_time(other, "g", "e"))
        done, _ = await asyncio.wait([second], timeout=0.2)
        assert not done
        await connection.commit()
        assert not await second
