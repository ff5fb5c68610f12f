"""One record, one try: what its handler hears, and what follows from how that ends."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import structlog
from opentelemetry.util.types import AttributeValue

from plumbline_kit.bus.dead_letters import DeadLetters
from plumbline_kit.bus.guard import InvalidGuard
from plumbline_kit.bus.headers import event_id_of, event_of
from plumbline_kit.bus.messages import Subscription
from plumbline_kit.bus.records import Record
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.errors import Invalid, Retryable
from plumbline_kit.telemetry import names
from plumbline_kit.telemetry.kafka import placed, processing

log = structlog.get_logger()


class Processor:
    """Gives records to their handlers and tells the three kinds of failure apart."""

    def __init__(
        self, group: str, subscriptions: Sequence[Subscription[Any]], dead_letters: DeadLetters, backoff: Backoff
    ) -> None:
        self._group = group
        self._subscriptions = {subscription.topic.name: subscription for subscription in subscriptions}
        self._dead_letters = dead_letters
        self._backoff = backoff
        self._guard = InvalidGuard()

    async def attempt(self, record: Record, failures: int) -> float | None:
        """None when the record is finished (handled or dead-lettered), else the seconds until its next try.

        Raises what the handler raised when that is a bug, and `TooManyInvalid`.
        """
        with self._bound(record):
            try:
                invalid = await self._handle(record, failures)
            except Retryable as error:
                wait = self._backoff.seconds(failures + 1)
                log.warning("record_retried", failures=failures + 1, seconds=round(wait, 2), reason=str(error))
                return wait
            self._guard.saw(invalid=invalid)
            return None

    async def _handle(self, record: Record, failures: int) -> bool:
        """Whether the record was invalid, and is now dead-lettered."""
        subscription = self._subscriptions[record.partition.topic]
        attributes = _attributes(record, failures)
        try:
            with processing(record.partition.topic, self._group, record.header_texts(), attributes):
                try:
                    await subscription.handle(event_of(record, subscription.topic))
                except Invalid as error:
                    self._guard.allow_invalid()
                    await self._dead_letters.bury(record, subscription.topic, str(error))
                    raise
        except Invalid:
            return True
        return False

    def _bound(self, record: Record) -> AbstractContextManager[None]:
        topic, partition = record.partition
        fields = {"topic": topic, "partition": partition, "offset": record.offset, "event_id": event_id_of(record)}
        if self._subscriptions[topic].topic.key.startswith("tenant/"):
            fields["tenant"] = (record.key or b"").decode("utf-8", "replace").partition("/")[0]
        return structlog.contextvars.bound_contextvars(**fields)


def _attributes(record: Record, failures: int) -> Mapping[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        **placed(record.partition.number, record.offset),
        names.MESSAGING_MESSAGE_ID: event_id_of(record),
        names.MESSAGING_KEY: (record.key or b"").decode("utf-8", "backslashreplace"),
    }
    if record.value is None:
        attributes[names.MESSAGING_TOMBSTONE] = True
    if failures:
        attributes[names.RECORD_FAILURES] = failures
    return attributes
