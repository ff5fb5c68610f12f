"""Spans and durations of records that are sent and processed, by OpenTelemetry's messaging conventions."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from opentelemetry import metrics
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.setup import meter, tracer


@cache
def _durations(name: str) -> metrics.Histogram:
    return meter().create_histogram(name, unit="s", description="Duration of the messaging operation.")


@cache
def _lag() -> metrics._Gauge:
    return meter().create_gauge(names.CONSUMER_LAG, unit="{record}", description="Records not yet handled.")


@contextmanager
def sending(
    topic: str,
    headers: dict[str, str],
    attributes: Mapping[str, AttributeValue],
    *,
    parent: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    """The span of one record that is being sent, the current one while it lasts; puts its context into *headers*.

    It continues the current trace, or the one that *parent* names.
    """
    common = {**_common("send", topic), names.MESSAGING_OPERATION_TYPE: "send"}
    name, duration = f"send {topic}", names.MESSAGING_SEND_DURATION
    with _span(name, SpanKind.PRODUCER, common, attributes, duration, parent=parent) as span:
        inject(headers)
        yield span


@contextmanager
def processing(
    topic: str, group: str, headers: Mapping[str, str], attributes: Mapping[str, AttributeValue]
) -> Iterator[Span]:
    """The span of one try to process a record: a child of the span that sent it, where *headers* name one."""
    common = {
        **_common("process", topic),
        names.MESSAGING_OPERATION_TYPE: "process",
        names.MESSAGING_GROUP: group,
    }
    name, duration = f"process {topic}", names.MESSAGING_PROCESS_DURATION
    with _span(name, SpanKind.CONSUMER, common, attributes, duration, parent=headers) as span:
        yield span


def placed(partition: int, offset: int) -> dict[str, AttributeValue]:
    """Where a record lies, as attributes."""
    return {names.MESSAGING_PARTITION: str(partition), names.MESSAGING_OFFSET: offset}


def record_lag(group: str, records: int) -> None:
    """Report how many records *group* has not handled yet in this process's partitions."""
    _lag().set(records, {names.MESSAGING_SYSTEM: "kafka", names.MESSAGING_GROUP: group})


def _common(operation: str, topic: str) -> dict[str, AttributeValue]:
    return {
        names.MESSAGING_SYSTEM: "kafka",
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_DESTINATION: topic,
    }


@contextmanager
def _span(
    name: str,
    kind: SpanKind,
    common: dict[str, AttributeValue],
    attributes: Mapping[str, AttributeValue],
    duration: str,
    *,
    parent: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    started = time.perf_counter()
    context = None if parent is None else extract(parent)
    with tracer().start_as_current_span(
        name, context, kind, {**common, **attributes}, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            common[names.ERROR_TYPE] = type(error).__qualname__
            span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            _durations(duration).record(time.perf_counter() - started, common)
