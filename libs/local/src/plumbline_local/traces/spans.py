"""A span as the trace store keeps it, made from OTLP."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

KINDS: Final = {
    otlp.Span.SPAN_KIND_INTERNAL: "internal",
    otlp.Span.SPAN_KIND_SERVER: "server",
    otlp.Span.SPAN_KIND_CLIENT: "client",
    otlp.Span.SPAN_KIND_PRODUCER: "producer",
    otlp.Span.SPAN_KIND_CONSUMER: "consumer",
}
STATUSES: Final = {otlp.Status.STATUS_CODE_OK: "ok", otlp.Status.STATUS_CODE_ERROR: "error"}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """One span. Ids are lower-case hexadecimal; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty at the root of a trace."""
    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    """`ok`, `error`, or `unset`, which means that nothing went wrong."""
    status_message: str
    attributes: dict[str, Any]

    @property
    def start_time(self) -> datetime:
        """The start, in UTC, to the microsecond."""
        return EPOCH + timedelta(microseconds=self.start_ns // 1000)

    @property
    def milliseconds(self) -> float:
        """How long the span took."""
        return (self.end_ns - self.start_ns) / 1e6


def from_otlp(exports: Iterable[otlp.ResourceSpans]) -> Iterator[StoredSpan]:
    """Every span of *exports*."""
    for export in exports:
        service = attributes(export.resource.attributes).get("service.name", "unknown")
        for scope in export.scope_spans:
            for span in scope.spans:
                yield _span(str(service), span)


def _span(service: str, span: otlp.Span) -> StoredSpan:
    return StoredSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=service,
        name=span.name,
        kind=KINDS.get(span.kind, "internal"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        attributes=attributes(span.attributes),
    )


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """OTLP attributes as plain values that JSON can hold; bytes become hexadecimal."""
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else None
