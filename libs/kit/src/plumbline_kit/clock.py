"""Time as a dependency, so that no test waits for it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a service may know about time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        ...


class SteadyClock:
    """A clock that no step back of the wall clock turns back, as long as the process runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.now()
        self._started = clock.monotonic()

    def now(self) -> datetime:
        """The wall clock, or what it would say had it run on since the start, whichever is later."""
        passed = timedelta(seconds=self._clock.monotonic() - self._started)
        return max(self._clock.now(), self._start + passed)

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        await self._clock.sleep(seconds)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        await asyncio.sleep(seconds)
