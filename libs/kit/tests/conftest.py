"""Spans and metrics of this process, kept in memory for the test that asks for them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """structlog's own default draws tracebacks, which takes longer than some deadlines here."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(),
        ]
    )


@pytest.fixture(scope="session")
def _exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(scope="session", autouse=True)
def _metric_reader(_exporter: InMemorySpanExporter) -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    return reader


@pytest.fixture
def spans(_exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """The spans that ended since the test began."""
    _exporter.clear()
    yield _exporter
    _exporter.clear()


@pytest.fixture
def durations(_metric_reader: InMemoryMetricReader) -> Callable[[], dict[str, list[Any]]]:
    """A reading of every metric: its data points by its name."""

    def read() -> dict[str, list[Any]]:
        points: dict[str, list[Any]] = defaultdict(list)
        data = _metric_reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points[metric.name] += metric.data.data_points
        return points

    return read
