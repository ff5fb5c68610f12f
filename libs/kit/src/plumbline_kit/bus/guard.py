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
        seen, invalid = len(self._latest) + 1, sum(self._latest) + 1
        if seen >= LEAST_SEEN and invalid > LARGEST_SHARE * min(seen, WINDOW):
            raise TooManyInvalid(f"{invalid} of the latest {min(seen, WINDOW)} records are invalid")

    def saw(self, *, invalid: bool) -> None:
        """Count one finished record."""
        self._latest.append(invalid)
