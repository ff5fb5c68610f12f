"""Where a consumer's records come from: the port that Kafka and the memory bus implement."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from plumbline_kit.bus.records import Partition, Record


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look at the log brought."""

    records: Sequence[Record] = ()
    ends: Mapping[Partition, int] = field(default_factory=dict)
    """Partitions whose end was reached behind these records, and the offset of that end."""
    highs: Mapping[Partition, int] = field(default_factory=dict)
    """Offsets after the last record, for the partitions for which they were asked."""


class Ownership(Protocol):
    """Who hears which partitions a consumer owns. Awaited: nothing more comes from the source meanwhile."""

    async def gained(self, partitions: Collection[Partition]) -> None:
        """These are ours from now on."""
        ...

    async def released(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """These go to another member: stop work on them and return how far they are finished."""
        ...

    async def lost(self, partitions: Collection[Partition]) -> None:
        """These already belong to another member: drop them, nothing of them may be stored."""
        ...


class Source(Protocol):
    """A member of a consumer group."""

    async def open(self, ownership: Ownership) -> None:
        """Join the group; partitions come later, through *ownership*."""
        ...

    async def poll(self, progress: Mapping[Partition, int], on_hold: Collection[Partition], *, highs: bool) -> Batch:
        """Remember *progress*, then return what has come, after a short wait at most; nothing from *on_hold*."""
        ...

    async def close(self, progress: Mapping[Partition, int]) -> None:
        """Commit, leave the group. Returns in bounded time."""
        ...
