"""Records that reach the log all together or not at all: the port of the outbox relay."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from plumbline_kit.bus.records import Headers, Partition


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to the log."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Transactions(Protocol):
    """One writer among several of the same name, of whom only the newest can write. Every method may raise
    `Unavailable`; then nothing is known about what was being sent: close, and `open` another.
    """

    async def open(self) -> None:
        """Shut out the predecessor. What it had begun is committed or gone for good when this returns."""
        ...

    async def ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """The offset after the last record of each partition of the *topics*."""
        ...

    async def event_ids(self, topics: Collection[str], since: Mapping[Partition, int]) -> set[tuple[str, str]]:
        """Topic and event id of every committed record at or after *since*; from the start where it is silent."""
        ...

    async def send(self, records: Sequence[Outgoing]) -> dict[Partition, int]:
        """Append all of them, in order. Returns the offset after the last of them, for each partition."""
        ...

    async def close(self) -> None:
        """Let go; what was not committed is gone."""
        ...
