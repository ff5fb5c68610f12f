"""A store whose process dies and a log that goes away, when they are told to."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from plumbline_cache.adapters.memory import MemoryAnnouncer
from plumbline_cache.domain.freshness import Notice
from plumbline_cache.ports import Store
from plumbline_kit.errors import Unavailable

WRITES: Final = frozenset(
    ("put", "carry", "drop", "keep_floor", "keep_withdrawal", "keep_addition", "mark", "add_notice", "remove_notice")
)


class Killed(Exception):
    """The process died."""


class WatchedStore:
    """Any store: the process dies before the write that `lives` says, and after each write somebody looks."""

    lives = 0
    """0: for ever."""

    def __init__(self, store: Store, look: Callable[[], None]) -> None:
        self._store, self._look = store, look

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return partial(self._write, found) if name in WRITES else found

    def _write(self, write: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self.lives:
            self.lives -= 1
            if not self.lives:
                raise Killed
        result = write(*arguments, **named)
        self._look()
        return result


class UnsteadyAnnouncer(MemoryAnnouncer):
    """The log is away for the next tellings; of every second one it has the fact all the same."""

    failures = 0

    async def entry_invalidated(self, notice: Notice) -> None:
        if self.failures % 2 == 0:
            await super().entry_invalidated(notice)
        if self.failures:
            self.failures -= 1
            raise Unavailable("the log is away")
