"""The line between bad data and a bad deploy."""

from collections import deque
from typing import Final

WINDOW: Final = 1_000
LARGEST_SHARE: Final = 0.2
LEAST_SEEN: Final = 50
"""Below this many records a share says nothing: two bad records of the first three are not yet a bad deploy."""


class TooManyInvalid(Exception):
    """More than a fifth of the latest records are invalid: more likely this code is wrong than all of them."""


class InvalidGuard:
    """Watches the share of invalid records among the latest, retried ones counted once."""

    def __init__(self) -> None:
        self._latest: deque[bool] = deque(maxlen=WINDOW)

    def allow_invalid(self) -> None:
        """Raise `TooManyInvalid` if one more invalid record is one too many."""
        latest = [*self._latest, True][-WINDOW:]
        if len(latest) >= LEAST_SEEN and sum(latest) > LARGEST_SHARE * len(latest):
            raise TooManyInvalid(f"{sum(latest)} of the latest {len(latest)} records are invalid")

    def saw(self, *, invalid: bool) -> None:
        """Count one finished record."""
        self._latest.append(invalid)
