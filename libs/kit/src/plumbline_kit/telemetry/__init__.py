"""Traces and metrics: set up once, named in one place."""

from plumbline_kit.telemetry.setup import Telemetry, annotate, configure, meter, tracer

__all__ = ["Telemetry", "annotate", "configure", "meter", "tracer"]
