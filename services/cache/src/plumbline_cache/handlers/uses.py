"""How often entries are served: counted in memory, written down in the background."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

from plumbline_cache.domain.entry import Entry
from plumbline_cache.ports import EntryKeeper, Turns

AT_ONCE: Final = 64
"""Entries that one turn of the writer writes: some milliseconds, so that no change waits for all of them."""


@dataclass(frozen=True)
class Uses:
    """What entries were served for since it was last written down. Safe within one thread, but `of` in any."""

    _unwritten: Counter[str] = field(default_factory=Counter)

    def note(self, entry_id: str) -> None:
        """It was served once more."""
        self._unwritten[entry_id] += 1

    def of(self, entry: Entry) -> int:
        """How often *entry* was served, as far as this replica knows."""
        return entry.hits + self._unwritten[entry.id]

    def take(self) -> Mapping[str, int]:
        """What is to be written down, by entry id; from here on it counts as written."""
        taken = Counter(self._unwritten)
        self._unwritten.clear()
        return taken

    def give_back(self, taken: Mapping[str, int]) -> None:
        """What could not be written after all."""
        self._unwritten.update(taken)


@dataclass(frozen=True)
class WriteUses:
    """Adds what was counted to the entries. A hit that was counted and not written before a kill is forgotten."""

    uses: Uses
    entries: EntryKeeper
    writer: Turns

    async def __call__(self) -> None:
        """Raises what the store raises; then nothing counted is lost. Cancelled, a turn that was begun goes on."""
        left = dict(self.uses.take())
        try:
            while some := dict(islice(left.items(), AT_ONCE)):
                left = {entry_id: hits for entry_id, hits in left.items() if entry_id not in some}
                await self._write(some)
        finally:
            self.uses.give_back(left)

    async def _write(self, some: Mapping[str, int]) -> None:
        try:
            await self.writer.run(partial(self.entries.add_hits, some))
        except Exception:
            self.uses.give_back(some)
            raise
