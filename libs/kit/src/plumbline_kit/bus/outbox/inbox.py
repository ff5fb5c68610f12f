"""Remembers which events a consumer group has had."""

from typing import Any, Final

import psycopg

REMEMBER: Final = "INSERT INTO inbox (consumer_group, event_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"


class Inbox:
    """The table `inbox`: what makes a redelivered event have no second effect."""

    @staticmethod
    async def first_time(connection: psycopg.AsyncConnection[Any], group: str, event_id: str) -> bool:
        """Whether *group* meets the event for the first time.

        Call it in the transaction that holds the event's effect: both are kept or neither. While another
        transaction has met the same event and is still open, this waits for its end.
        """
        cursor = await connection.execute(REMEMBER, (group, event_id))
        return cursor.rowcount == 1
