"""CloudEvents in Kafka's binary mode: which headers a record carries and how they are read back."""

import uuid
from datetime import UTC, datetime
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.messages import Received
from plumbline_kit.bus.records import Headers, Record
from plumbline_kit.errors import Invalid

M = TypeVar("M", bound=Message)

ID: Final = "ce_id"
TIME: Final = "ce_time"
TRACEPARENT: Final = "traceparent"
CONTENT_TYPE: Final = "application/protobuf"


def event_headers(
    topic: Topic[M], *, key: str, source: str, time: datetime, event_id: str | None = None
) -> dict[str, str]:
    """The headers of one event, all but the trace's. Without *event_id* it gets a random one."""
    return {
        "ce_specversion": "1.0",
        ID: event_id or str(uuid.uuid4()),
        "ce_type": topic.event_type,
        "ce_source": source,
        TIME: time.isoformat().replace("+00:00", "Z"),
        "ce_subject": key,
        "content-type": CONTENT_TYPE,
    }


def as_bytes(headers: dict[str, str]) -> Headers:
    """Headers as the log takes them."""
    return tuple((name, value.encode()) for name, value in headers.items())


def event_id_of(record: Record) -> str:
    """The event's id; a record without one (a producer that knows no CloudEvents) is named by its place."""
    partition, number = record.partition
    return record.header_texts().get(ID) or f"{partition}/{number}/{record.offset}"


def event_of(record: Record, topic: Topic[M]) -> Received[M]:
    """The record as its handler sees it. Raises `Invalid` when the body is not the topic's message."""
    headers = record.header_texts()
    return Received(
        topic=topic,
        key=(record.key or b"").decode("utf-8", "backslashreplace"),
        body=_body(record, topic),
        event_id=event_id_of(record),
        event_time=_time(headers.get(TIME), record.time),
        position=record.position,
        headers=headers,
    )


def _body(record: Record, topic: Topic[M]) -> M | None:
    if record.value is None:
        return None
    if topic.foreign:
        return topic.message(value=record.value)
    try:
        return topic.message.FromString(record.value)
    except DecodeError as error:
        raise Invalid(f"the body is not a {topic.event_type}: {error}") from error


def _time(text: str | None, otherwise: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(text) if text else otherwise
    except ValueError:
        return otherwise  # a foreign producer's idea of a time is no reason to refuse its event
    return time if time.tzinfo else time.replace(tzinfo=UTC)
