"""What the bus carries, in the words of those who publish and consume it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

from plumbline_contracts.topics import Topic

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies in its topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """One record as its handler sees it."""

    topic: Topic[M]
    key: str
    body: M | None
    """None is a tombstone: the thing under *key* was deleted."""
    event_id: str
    """Equal for every delivery of the same fact: the key of idempotence."""
    event_time: datetime
    position: Position
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subscription(Generic[M]):
    """A topic and the use case that hears of its records.

    The handler raises `Invalid` for a record that will never be right (dead-lettered), a `Retryable`
    for a world that is wrong now (the partition waits and the record comes again), anything else for a
    bug (the consumer stops). It must be idempotent on the event id: delivery is at least once.
    """

    topic: Topic[M]
    handle: Callable[[Received[M]], Awaitable[None]]


class Publisher(Protocol):
    """Puts facts on their topics."""

    async def publish(self, topic: Topic[M], key: str, body: M | None, *, event_id: str | None = None) -> Position:
        """Return when the log holds the record durably.

        *event_id* defaults to a random UUID; give a deterministic one where a crash may publish again.
        Raises `Unavailable` when the log does not acknowledge in time, `Invalid` for an oversized record.
        The record continues the current trace.
        """
        ...
