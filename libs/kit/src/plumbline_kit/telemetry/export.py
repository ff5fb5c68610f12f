"""OTLP export that says once that its receiver is away, and once that it is back."""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

log = structlog.get_logger()

EXPORT_SECONDS: Final = 5
NOISY: Final = ("opentelemetry.exporter.otlp.proto.grpc.exporter", "opentelemetry.sdk._shared_internal")
"""Loggers that tell of every failed try and of every span that is dropped for it."""


class SpanExporter(OTLPSpanExporter):
    """Spans to *endpoint*: host and port, in the clear unless it begins with https://."""

    def __init__(self, endpoint: str, *, timeout: float = EXPORT_SECONDS) -> None:
        super().__init__(timeout=timeout, **_target(endpoint))
        self._outage = _Outage(endpoint)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send *spans*; they are lost if the receiver stays away for as long as the timeout."""
        result = super().export(spans)
        self._outage.saw(result is SpanExportResult.SUCCESS)
        return result


class MetricExporter(OTLPMetricExporter):
    """Metrics to *endpoint*: host and port, in the clear unless it begins with https://."""

    def __init__(self, endpoint: str, *, timeout: float = EXPORT_SECONDS) -> None:
        super().__init__(timeout=timeout, **_target(endpoint))
        self._outage = _Outage(endpoint)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: Any) -> MetricExportResult:
        """Send *metrics_data*; what could not be sent is in the next sending, as the counts go on."""
        result = super().export(metrics_data, timeout_millis, **options)
        self._outage.saw(result is MetricExportResult.SUCCESS)
        return result


class _Outage:
    """Logs when the receiver goes and comes, not that it is still away."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._away = False

    def saw(self, success: bool) -> None:
        if self._away and success:
            log.info("telemetry_export_resumed", endpoint=self._endpoint)
        if not self._away and not success:
            log.warning("telemetry_export_failing", endpoint=self._endpoint)
        self._away = not success


def _target(endpoint: str) -> dict[str, Any]:
    return {"endpoint": endpoint, "insecure": not endpoint.startswith("https://")}
