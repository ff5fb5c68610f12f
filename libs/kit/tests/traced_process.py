"""Ends one span, measures one call and shuts telemetry down; run by the telemetry test with two endpoints."""

import sys
import time

import structlog

from plumbline_kit import logs, telemetry
from plumbline_kit.telemetry import tracer
from plumbline_kit.telemetry.grpc import server_call
from plumbline_kit.testing import test_settings

if __name__ == "__main__":
    logs.configure("cache", "info")
    settings = test_settings("cache", otlp_traces_endpoint=sys.argv[1], otlp_metrics_endpoint=sys.argv[2])
    exported = telemetry.configure(settings)
    with tracer().start_as_current_span("work"):
        pass
    with server_call("test.Desk/Answer", {}):
        pass
    started = time.monotonic()
    exported.shutdown()
    structlog.get_logger().info("ended", seconds=time.monotonic() - started)
