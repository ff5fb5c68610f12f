"""Where spans and metrics of this process go."""

import logging
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.types import AttributeValue

from plumbline_kit.settings import ServiceSettings
from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.export import EXPORT_SECONDS, NOISY, MetricExporter, SpanExporter

SCOPE: Final = "plumbline"
SPAN_DELAY_MS: Final = 500

Exporter = SpanExporter | MetricExporter


class Telemetry:
    """What `configure` set up; shut down last, so that nothing of a stop is lost."""

    def __init__(self, traces: TracerProvider, meters: MeterProvider, exporters: Sequence[Exporter]) -> None:
        self._traces = traces
        self._meters = meters
        self._exporters = exporters

    def shutdown(self) -> None:
        """Send what is left. Blocks for a few seconds at most; never raises for a receiver that is away."""
        giving_up = threading.Timer(EXPORT_SECONDS, self._give_up)
        giving_up.start()
        self._traces.shutdown()
        self._meters.shutdown(timeout_millis=EXPORT_SECONDS * 1000)
        giving_up.cancel()

    def _give_up(self) -> None:
        """The providers know no end to waiting for a receiver, but an exporter that is shut down does not wait."""
        for exporter in self._exporters:
            exporter.shutdown()


def configure(settings: ServiceSettings) -> Telemetry:
    """Make this process's spans and metrics go to the endpoints in *settings*. Call once, before any tracer is used."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    resource = _resource(settings.name)
    traces, readers, exporters = TracerProvider(resource=resource), [], list[Exporter]()
    if settings.otlp_traces_endpoint:
        spans = SpanExporter(settings.otlp_traces_endpoint)
        traces.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=SPAN_DELAY_MS))
        exporters.append(spans)
    if settings.otlp_metrics_endpoint:
        points = MetricExporter(settings.otlp_metrics_endpoint)
        readers.append(PeriodicExportingMetricReader(points, export_interval_millis=settings.metric_interval_ms))
        exporters.append(points)
    meters = MeterProvider(metric_readers=readers, resource=resource)
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(meters)
    return Telemetry(traces, meters, exporters)


@cache
def tracer() -> trace.Tracer:
    """The tracer of everything that is Plumbline's own."""
    return trace.get_tracer(SCOPE)


def meter() -> metrics.Meter:
    """The meter of everything that is Plumbline's own."""
    return metrics.get_meter(SCOPE)


def annotate(attributes: Mapping[str, AttributeValue]) -> None:
    """Set *attributes* on the current span."""
    trace.get_current_span().set_attributes(attributes)


def _resource(service: str) -> Resource:
    return Resource(
        {
            names.SERVICE_NAME: service,
            names.SERVICE_VERSION: _version(service),
            names.SERVICE_INSTANCE_ID: f"{os.getpid()}-{uuid.uuid4().hex[:8]}",
        }
    )


def _version(service: str) -> str:
    try:
        return version(f"plumbline-{service}")
    except PackageNotFoundError:
        return "unknown"
