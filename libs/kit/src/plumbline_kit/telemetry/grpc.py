"""Spans and durations of gRPC calls, with the status the caller really saw."""

import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import grpc
from opentelemetry import metrics, trace
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.setup import meter, tracer

SERVERS_FAULT: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that make a server's span an error; every code but OK makes a client's one."""


@cache
def _durations(name: str) -> metrics.Histogram:
    return meter().create_histogram(name, unit="s", description="Duration of the call from start to status.")


@dataclass
class Outcome:
    """How a call ended; whoever knows it says so before the span ends."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    started: float = field(default_factory=time.perf_counter)

    def finish(self, span: Span, method: str, duration: str, is_error: bool) -> None:
        """Put the status on *span* and the duration into the histogram."""
        attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method, names.RPC_STATUS: self.code.name}
        if is_error:
            attributes[names.ERROR_TYPE] = self.code.name
            span.set_status(Status(StatusCode.ERROR, self.code.name))
        span.set_attributes(attributes)
        _durations(duration).record(time.perf_counter() - self.started, attributes)


@contextmanager
def server_call(method: str, metadata: Mapping[str, str]) -> Iterator[Outcome]:
    """The span of a call that is being served, child of the caller's span where *metadata* names one."""
    outcome = Outcome()
    with tracer().start_as_current_span(
        method, extract(metadata), SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield outcome
        finally:
            outcome.finish(span, method, names.RPC_SERVER_DURATION, outcome.code in SERVERS_FAULT)


class ClientCall:
    """The span of a call that is being made, from `start` to `finish`."""

    def __init__(self, method: str, metadata: MutableMapping[str, str]) -> None:
        """Starts the span and puts its context into *metadata*."""
        self._method = method
        self._outcome = Outcome()
        self._span = tracer().start_span(method, kind=SpanKind.CLIENT)
        inject(metadata, trace.set_span_in_context(self._span))

    def finish(self, code: grpc.StatusCode) -> None:
        """End the span with the call's status."""
        self._outcome.code = code
        self._outcome.finish(self._span, self._method, names.RPC_CLIENT_DURATION, code != grpc.StatusCode.OK)
        self._span.end()
