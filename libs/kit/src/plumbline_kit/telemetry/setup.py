"""Where spans and metrics of this process go."""

import os
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.types import AttributeValue

from plumbline_kit.settings import ServiceSettings
from plumbline_kit.telemetry import names

SCOPE: Final = "plumbline"
SPAN_DELAY_MS: Final = 500
EXPORT_SECONDS: Final = 5


class Telemetry:
    """What `configure` set up; shut down last, so that nothing of a stop is lost."""

    def __init__(self, traces: TracerProvider, meters: MeterProvider) -> None:
        self._traces = traces
        self._meters = meters

    def shutdown(self) -> None:
        """Send what is left. Blocks for a few seconds at most; never raises for a receiver that is away."""
        self._traces.shutdown()
        self._meters.shutdown(timeout_millis=EXPORT_SECONDS * 1000)


def configure(settings: ServiceSettings) -> Telemetry:
    """Make this process's spans and metrics go to the endpoints in *settings*. Call once, before any tracer is used."""
    resource = Resource(
        {
            names.SERVICE_NAME: settings.name,
            names.SERVICE_VERSION: _version(settings.name),
            names.SERVICE_INSTANCE_ID: f"{os.getpid()}-{uuid.uuid4().hex[:8]}",
        }
    )
    traces = TracerProvider(resource=resource)
    if settings.otlp_traces_endpoint:
        target, insecure = _target(settings.otlp_traces_endpoint)
        exporter = OTLPSpanExporter(endpoint=target, insecure=insecure, timeout=EXPORT_SECONDS)
        traces.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SPAN_DELAY_MS))
    readers = []
    if settings.otlp_metrics_endpoint:
        target, insecure = _target(settings.otlp_metrics_endpoint)
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=target, insecure=insecure)))
    meters = MeterProvider(metric_readers=readers, resource=resource)
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(meters)
    return Telemetry(traces, meters)


def tracer() -> trace.Tracer:
    """The tracer of everything that is Plumbline's own."""
    return trace.get_tracer(SCOPE)


def meter() -> metrics.Meter:
    """The meter of everything that is Plumbline's own."""
    return metrics.get_meter(SCOPE)


def annotate(attributes: Mapping[str, AttributeValue]) -> None:
    """Set *attributes* on the current span."""
    trace.get_current_span().set_attributes(attributes)


def _target(endpoint: str) -> tuple[str, bool]:
    """Host and port, and whether the connection is in the clear (anything but https)."""
    return endpoint.removeprefix("http://"), not endpoint.startswith("https://")


def _version(service: str) -> str:
    try:
        return version(f"plumbline-{service}")
    except PackageNotFoundError:
        return "unknown"
