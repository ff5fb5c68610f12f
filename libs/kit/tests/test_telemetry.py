"""Telemetry: what reaches an OTLP receiver, and that its absence disturbs nobody."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from structlog.testing import capture_logs

from plumbline_kit.telemetry import annotate, names, tracer
from plumbline_kit.telemetry.export import SpanExporter

TRACED_PROCESS = Path(__file__).with_name("traced_process.py")


class Receiver(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP receiver that keeps what it gets, for traces or for metrics."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.metrics: set[str] = set()
        self.address = ""

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            scopes = [scope for each in request.resource_metrics for scope in each.scope_metrics]
            self.metrics |= {metric.name for scope in scopes for metric in scope.metrics}
            return metrics_service_pb2.ExportMetricsServiceResponse()
        for each in request.resource_spans:
            self.resources.append({pair.key: pair.value.string_value for pair in each.resource.attributes})
            self.spans += [span for scope in each.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    receiver, server = Receiver(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(receiver, server)
    receiver.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield receiver
    finally:
        await server.stop(0)


async def run_traced_process(*endpoints: str) -> tuple[list[dict[str, Any]], float]:
    """What a process logs that ends one span and measures one call, and how many seconds its shutdown takes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, TRACED_PROCESS, *endpoints, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    lines = [json.loads(line) for line in errors.decode().splitlines()]
    return [line for line in lines if line["event"] != "ended"], lines[-1]["seconds"]


async def test_the_last_spans_and_metrics_of_a_process_reach_their_receivers() -> None:
    async with receiving() as receiver:
        logged, _ = await run_traced_process(receiver.address, f"http://{receiver.address}")
    assert [span.name for span in receiver.spans] == ["work", "test.Desk/Answer"]
    assert names.RPC_SERVER_DURATION in receiver.metrics
    [resource] = receiver.resources
    assert (resource[names.SERVICE_NAME], resource[names.SERVICE_VERSION]) == ("cache", "0.1.0")
    assert resource[names.SERVICE_INSTANCE_ID]
    assert logged == []


async def test_a_receiver_that_is_away_costs_a_process_one_warning_and_a_few_seconds_at_its_end() -> None:
    logged, seconds = await run_traced_process("127.0.0.1:9", "")
    assert [(line["event"], line["endpoint"]) for line in logged] == [("telemetry_export_failing", "127.0.0.1:9")]
    assert seconds < 8


async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    async with receiving() as receiver:
        port = int(receiver.address.rpartition(":")[2])
    exporter = SpanExporter(receiver.address, timeout=0.2)
    span = TracerProvider().get_tracer("test").start_span("work")
    span.end()
    with capture_logs() as logged:
        for _ in range(3):
            assert await asyncio.to_thread(exporter.export, [span]) is SpanExportResult.FAILURE
        async with receiving(port):
            until = time.monotonic() + 20
            while await asyncio.to_thread(exporter.export, [span]) is SpanExportResult.FAILURE:
                assert time.monotonic() < until
    exporter.shutdown()
    assert [line["event"] for line in logged] == ["telemetry_export_failing", "telemetry_export_resumed"]


def test_annotate_sets_attributes_on_the_current_span(spans: Any) -> None:
    with tracer().start_as_current_span("work"):
        annotate({names.ANSWER_ID: "a1", names.PASSAGE_COUNT: 3})
    [span] = spans.get_finished_spans()
    assert dict(span.attributes) == {"plumbline.answer.id": "a1", "plumbline.passage.count": 3}


@pytest.mark.parametrize("name", ["rpc.system.name", "rpc.method", "rpc.response.status_code"])
def test_rpc_names_are_those_of_the_current_conventions(name: str) -> None:
    assert name in (names.RPC_SYSTEM, names.RPC_METHOD, names.RPC_STATUS)
