"""How long an entry lives, and what becomes of that when the clock steps."""

from datetime import datetime, timedelta
from typing import Final

from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.entry import Entry

SKEW: Final = timedelta(minutes=5)
"""How far the clocks of two machines may lie apart."""


def is_alive(entry: Entry, now: datetime) -> bool:
    """Whether *entry* may be served at *now*.

    Not before its answer was generated either: then the clock has stepped back, and how old the answer is nobody
    knows. So a step back gives an entry at most as much time as it had already lived, and `SKEW`.
    """
    return not is_from_the_future(entry.generate_time, now) and now < entry.expire_time


def untimely(entry: Entry, now: datetime) -> Refusal | None:
    """Why *entry* cannot begin to live at *now*."""
    if is_from_the_future(entry.generate_time, now):
        return Refusal.FROM_THE_FUTURE
    return None if is_alive(entry, now) else Refusal.EXPIRED


def is_from_the_future(generate_time: datetime, now: datetime) -> bool:
    """Whether an answer was generated later than any clock that is right can say."""
    return generate_time > now + SKEW
