"""How much is done at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from plumbline_kit.errors import Exhausted


class Slots:
    """A bound on what is answered at once; refuses at once what goes beyond it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def is_busy(self) -> bool:
        """Whether half of them or more are taken."""
        return 2 * self._taken >= self._limit

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot. Raises `Exhausted` when there is none."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> None:
        """Hold a slot until it is given back. Raises `Exhausted` when there is none."""
        if self._taken >= self._limit:
            raise Exhausted(f"{self._limit} questions are being answered here already; come back in a moment")
        self._taken += 1

    def give_back(self) -> None:
        """Let go of a slot."""
        self._taken -= 1
