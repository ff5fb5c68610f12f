"""What the supervisor needs to know about one process of the platform."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "preparing", "starting", "healthy", "restarting", "stopped"]
Say = Callable[[str, str], None]
"""Takes the name of a part and what it is doing, for a progress display."""


def quiet(part: str, doing: str) -> None:
    """Say nothing."""


async def nothing() -> None:
    """A part that needs no preparation."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process: how it is started, known to be well, and stopped."""

    name: str
    argv: tuple[str, ...]
    port: int
    healthy: Callable[[], Awaitable[bool]]
    """May raise nothing; answers within a few seconds."""
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Parts that must be healthy before this one starts for the first time."""
    prepare: Callable[[], Awaitable[None]] = nothing
    """Runs before every start: makes files, clears what a killed process left. Raises `LocalError`."""
    settle: Callable[[], Awaitable[None]] = nothing
    """Runs after the first healthy moment, before anything that needs this part: makes databases, topics."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    """After this long the part is killed."""
