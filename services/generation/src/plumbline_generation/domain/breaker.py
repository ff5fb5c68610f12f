"""A circuit breaker: whether an endpoint that fails is asked. Moments are monotonic seconds that the caller gives."""

from collections import deque
from dataclasses import dataclass
from enum import Enum


class BreakerState(Enum):
    """Closed: asked. Open: not asked. Half-open: calls find out whether it is well; one at a time waits for a token."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, and for how long."""

    window_seconds: float = 30.0
    """Calls that ended longer ago do not count."""
    minimum_calls: int = 5
    """Fewer calls in the window say nothing."""
    failure_share: float = 0.5
    """It opens when so large a share of them failed, in (0, 1]."""
    open_seconds: float = 10.0


class Breaker:
    """Counts one endpoint's calls. Not for threads."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        """Among those calls; counted along, because a busy window holds thousands."""
        self._open_until: float | None = None
        self._probing = False
        self._period = 0

    def state(self, now: float) -> BreakerState:
        """Where it stands at *now*."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Whether a call may be made."""
        state = self.state(now)
        return state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and not self._probing)

    def begin(self, now: float) -> int:
        """A call that it admits begins. The number goes with what comes of the call."""
        self._probing = self.state(now) is BreakerState.HALF_OPEN
        return self._period

    def spoke(self, period: int) -> None:
        """The call that began in *period* has its first token. Half-open, the next need not wait for its last."""
        if period == self._period:
            self._probing = False

    def end(self, period: int, now: float, well: bool | None) -> None:
        """The call that began in *period* has ended. None: what became of it says nothing about the endpoint."""
        if period != self._period:
            return  # it began before the last change and is no news about what came after
        if self._open_until is not None:
            self._end_probe(now, well)
        elif well is not None:
            self._count(now, well)

    def hold(self, now: float, seconds: float) -> None:
        """Be open for so long, because the endpoint asks for it."""
        self._open(max(now + seconds, self._open_until or 0.0))

    def _end_probe(self, now: float, well: bool | None) -> None:
        self._probing = False
        if well:
            self._change(None)
        elif well is False:
            self._open(now + self._settings.open_seconds)

    def _count(self, now: float, well: bool) -> None:
        self._calls.append((now, well))
        self._failures += not well
        while self._calls[0][0] < now - self._settings.window_seconds:
            self._failures -= not self._calls.popleft()[1]
        enough = len(self._calls) >= self._settings.minimum_calls
        if enough and self._failures >= self._settings.failure_share * len(self._calls):
            self._open(now + self._settings.open_seconds)

    def _open(self, until: float) -> None:
        self._change(until)

    def _change(self, open_until: float | None) -> None:
        self._open_until, self._probing = open_until, False
        self._period += 1
        self._calls.clear()
        self._failures = 0
