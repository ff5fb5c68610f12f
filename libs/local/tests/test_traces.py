"""A round trip: the SDK's own exporter, the receiver, PostgreSQL, the reader."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import psycopg
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from psycopg_pool import AsyncConnectionPool

from plumbline_local.traces.receiver import TraceServer
from plumbline_local.traces.settings import TracesSettings
from plumbline_local.traces.spans import StoredSpan
from plumbline_local.traces.store import SpanStore, spans_of_trace, trace_of_answer


@dataclass(frozen=True)
class Running:
    dsn: str
    port: int

    async def export(self, spans: tuple[ReadableSpan, ...]) -> None:
        exporter = OTLPSpanExporter(endpoint=f"127.0.0.1:{self.port}", insecure=True)
        assert await asyncio.to_thread(exporter.export, spans) is SpanExportResult.SUCCESS
        await asyncio.to_thread(exporter.shutdown)


@pytest.fixture
async def traces(database: str) -> AsyncIterator[Running]:
    server = TraceServer(TracesSettings.from_env({"POSTGRES_DSN": database, "PORT": "0"}))
    yield Running(database, await server.start())
    await server.stop()


@pytest.fixture
def recorded() -> tuple[ReadableSpan, ...]:
    """A question and the failed call under it."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "gateway"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("Ask", kind=SpanKind.SERVER, attributes={"plumbline.answer.id": "a-1"}),
        tracer.start_as_current_span("Lookup", kind=SpanKind.CLIENT) as lookup,
    ):
        lookup.set_status(Status(StatusCode.ERROR, "the cache is away"))
        lookup.set_attribute("tiers", ["exact", "semantic"])
    provider.shutdown()
    return memory.get_finished_spans()


async def test_an_answers_trace_is_found_with_every_span(traces: Running, recorded: tuple[ReadableSpan, ...]) -> None:
    await traces.export(recorded)

    trace_id = await trace_of_answer(traces.dsn, "a-1")
    assert trace_id is not None
    ask, lookup = await spans_of_trace(traces.dsn, trace_id)
    assert (ask.name, ask.kind, ask.service, ask.parent_id) == ("Ask", "server", "gateway", "")
    assert (lookup.name, lookup.kind, lookup.parent_id) == ("Lookup", "client", ask.span_id)
    assert (lookup.status, lookup.status_message) == ("error", "the cache is away")
    assert lookup.attributes == {"tiers": ["exact", "semantic"]}
    assert 0 < lookup.milliseconds <= ask.milliseconds


async def test_a_batch_that_is_sent_twice_is_kept_once(traces: Running, recorded: tuple[ReadableSpan, ...]) -> None:
    await traces.export(recorded)
    await traces.export(recorded)

    trace_id = await trace_of_answer(traces.dsn, "a-1")
    assert len(await spans_of_trace(traces.dsn, trace_id or "")) == 2


async def test_an_unknown_answer_has_no_trace(traces: Running) -> None:
    assert await trace_of_answer(traces.dsn, "nobody asked") is None
    assert await spans_of_trace(traces.dsn, "00" * 16) == []


@pytest.fixture
async def store(database: str) -> AsyncIterator[tuple[SpanStore, Callable[[], int]]]:
    async with AsyncConnectionPool(database, open=False) as pool:
        spans = SpanStore(pool)
        await spans.prepare()

        def count() -> int:
            with psycopg.connect(database) as connection:
                row = connection.execute("SELECT count(*) FROM traces.span").fetchone()
                return int(row[0]) if row else 0

        yield spans, count


def a_span(number: int, start_ns: int) -> StoredSpan:
    return StoredSpan("aa", f"{number:016x}", "", "s", "n", "internal", start_ns, start_ns, "ok", "", {})


async def test_old_spans_are_removed(store: tuple[SpanStore, Callable[[], int]]) -> None:
    spans, count = store
    now = time.time_ns()
    await spans.add([a_span(1, now - 1_000), a_span(2, now)])

    assert await spans.prune(oldest_ns=now, most=10) == 1
    assert count() == 1


async def test_the_oldest_spans_beyond_the_bound_are_removed(store: tuple[SpanStore, Callable[[], int]]) -> None:
    spans, count = store
    await spans.add([a_span(number, number) for number in range(10)])

    await spans.prune(oldest_ns=0, most=4)

    assert count() == 4
