"""Facts that leave with a database transaction."""

from typing import Any, Final, TypeVar

import psycopg
from google.protobuf.message import Message
from opentelemetry.propagate import inject

from plumbline_contracts.topics import Topic
from plumbline_kit.bus.headers import TRACEPARENT
from plumbline_kit.bus.outbox.schema import CHANNEL
from plumbline_kit.bus.records import check_size

M = TypeVar("M", bound=Message)

ADD: Final = """
INSERT INTO outbox (topic, key, body, event_id, traceparent) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class Outbox:
    """The table `outbox`: events that are published after, and only if, their transaction commits."""

    @staticmethod
    async def add(
        connection: psycopg.AsyncConnection[Any], topic: Topic[M], key: str, body: M | None, *, event_id: str
    ) -> None:
        """Leave an event in the caller's transaction. An event that still waits there is not added again.

        Events of one key are published in the order in which they were added, if the transactions that add them
        don't overlap. The record continues the current trace. Raises `Invalid` for an oversized record.
        """
        value = None if body is None else body.SerializeToString()
        check_size(key, value)
        trace: dict[str, str] = {}
        inject(trace)
        await connection.execute(ADD, (topic.name, key, value, event_id, trace.get(TRACEPARENT, "")))
        await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
