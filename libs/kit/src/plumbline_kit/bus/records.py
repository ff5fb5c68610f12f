"""A record as the log holds it: bytes, before anybody gives them a meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from plumbline_contracts.topics import MAX_MESSAGE_BYTES
from plumbline_kit.bus.messages import Position
from plumbline_kit.errors import Invalid

Headers = tuple[tuple[str, bytes | None], ...]


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record and where it lies."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    time: datetime
    """When its producer or the broker says it was written."""

    @property
    def position(self) -> Position:
        """Partition number and offset."""
        return Position(self.partition.number, self.offset)

    @property
    def size(self) -> int:
        """Bytes of key and value: what it costs to keep in hand."""
        return len(self.key or b"") + len(self.value or b"")

    def header_texts(self) -> Mapping[str, str]:
        """The headers as text. Of several with one name the last counts; what is not UTF-8 is escaped."""
        return {name: (value or b"").decode("utf-8", "backslashreplace") for name, value in self.headers}


def check_size(key: str, value: bytes | None) -> None:
    """Raise `Invalid` for what no topic takes."""
    if (size := len(key.encode()) + len(value or b"")) > MAX_MESSAGE_BYTES:
        raise Invalid(f"a record of {size} bytes is too large: at most {MAX_MESSAGE_BYTES}")


class Appender(Protocol):
    """Puts bytes on a topic as they are."""

    async def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Position:
        """Return when the log holds the record durably.

        Raises `Unavailable` when the log does not acknowledge in time. The record continues the current trace: its
        `traceparent` header is set here.
        """
        ...
