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
from opentelemetry.util.types import AttributeValue

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


BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; those that the conventions ask for."""


@cache
def _durations(name: str) -> metrics.Histogram:
    description = "Duration of the call from start to status."
    return meter().create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=BUCKETS)


@dataclass
class Outcome:
    """How a call ended; whoever knows it says so before the span ends."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    started: float = field(default_factory=time.perf_counter)

    def finish(self, span: Span, attributes: Mapping[str, AttributeValue], duration: str, is_error: bool) -> None:
        """End *span* with the status, and put the duration into the histogram with *attributes* and the status."""
        ended = {names.RPC_STATUS: self.code.name}
        if is_error:
            ended[names.ERROR_TYPE] = self.code.name
            span.set_status(Status(StatusCode.ERROR, self.code.name))
        span.set_attributes(ended)
        _durations(duration).record(time.perf_counter() - self.started, {**attributes, **ended})
        span.end()


@contextmanager
def server_call(method: str, metadata: Mapping[str, str]) -> Iterator[Outcome]:
    """The span of a call that is being served, child of the caller's span where *metadata* names one."""
    outcome = Outcome()
    attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method}
    span = tracer().start_span(method, extract(metadata), SpanKind.SERVER, attributes)
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield outcome
    finally:
        outcome.finish(span, attributes, names.RPC_SERVER_DURATION, outcome.code in SERVERS_FAULT)


class ClientCall:
    """The span of a call that is being made, from the start to `finish`."""

    def __init__(self, method: str, peer: Mapping[str, AttributeValue], metadata: MutableMapping[str, str]) -> None:
        """Starts the span and puts its context into *metadata*."""
        self._attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method, **peer}
        self._outcome = Outcome()
        self._span = tracer().start_span(method, kind=SpanKind.CLIENT, attributes=self._attributes)
        inject(metadata, trace.set_span_in_context(self._span))

    def finish(self, code: grpc.StatusCode) -> None:
        """End the span with the call's status."""
        self._outcome.code = code
        is_error = code is not grpc.StatusCode.OK
        self._outcome.finish(self._span, self._attributes, names.RPC_CLIENT_DURATION, is_error)


def peer_attributes(address: str) -> dict[str, AttributeValue]:
    """Whom a channel calls: *address* is a host with or without a port."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return {names.SERVER_ADDRESS: address}
    return {names.SERVER_ADDRESS: host, names.SERVER_PORT: int(port)}
