"""Puts aside what a consumer group cannot use: the original bytes, and why."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.records import Appender, Headers, Record
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid

log = structlog.get_logger()

REASON: Final = "dlq_reason"
TOPIC: Final = "dlq_topic"
PARTITION: Final = "dlq_partition"
OFFSET: Final = "dlq_offset"
GROUP: Final = "dlq_group"
TIME: Final = "dlq_time"
LONGEST_REASON: Final = 1_000


class DeadLetters:
    """The dead letters of one group. Their `traceparent` is of the try that failed, in the original's trace."""

    def __init__(
        self, group: str, appender: Appender, clock: Clock, prepare: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        """*prepare* sees to it that a topic exists; it is awaited once for each."""
        self._group = group
        self._appender = appender
        self._clock = clock
        self._prepare = prepare
        self._prepared: set[str] = set()

    async def bury(self, record: Record, topic: Topic[Any], reason: str) -> None:
        """Return when the record is safe in the dead-letter topic. Raises a `Retryable` when it is not."""
        name = topic.dead_letters(self._group)
        if self._prepare is not None and name not in self._prepared:
            await self._prepare(name)
            self._prepared.add(name)
        try:
            await self._appender.append(name, record.key, record.value, self._headers(record, reason))
        except Invalid as error:  # must not pass for the record's own fault, or it would count as put aside
            raise RuntimeError(f"{name} refuses a dead letter: {error}") from error
        log.warning("record_dead_lettered", dead_letter_topic=name, reason=reason[:LONGEST_REASON])

    def _headers(self, record: Record, reason: str) -> Headers:
        own = {
            REASON: reason[:LONGEST_REASON],
            TOPIC: record.partition.topic,
            PARTITION: str(record.partition.number),
            OFFSET: str(record.offset),
            GROUP: self._group,
            TIME: self._clock.now().isoformat().replace("+00:00", "Z"),
        }
        original = tuple(header for header in record.headers if header[0] not in own)
        return (*original, *((name, text.encode()) for name, text in own.items()))
