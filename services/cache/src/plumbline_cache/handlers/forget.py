"""Let go of what is older than any answer that is kept or may still come in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from plumbline_cache.ports import Store, Turns
from plumbline_kit.clock import Clock

LONGEST_ANSWER: Final = timedelta(hours=1)
"""From the beginning of an answer to its end, which its time to live is counted from, and what clocks lie apart."""


@dataclass(frozen=True)
class ForgetOld:
    """Passages that came, and withdrawals: an answer that was begun before them has had its time to live."""

    store: Store
    writer: Turns
    clock: Clock
    time_to_live: timedelta

    async def __call__(self) -> None:
        """Raises `Unavailable`."""
        await self.writer.run(partial(self._forget, self.clock.now() - self.time_to_live - LONGEST_ANSWER))

    def _forget(self, before: datetime) -> None:
        self.store.forget_additions(before)
        self.store.forget_withdrawals(before)
