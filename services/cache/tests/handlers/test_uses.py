"""Hits are counted in memory and written down beside the request path."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore
from plumbline_cache.handlers.uses import Uses, WriteUses
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]


class FullDisk(MemoryStore):
    """Takes no more."""

    def add_hits(self, hits: Mapping[str, int]) -> None:
        raise Unavailable("no space left")


async def test_what_is_written_down_is_part_of_the_entry_and_counted_once(entry: Make) -> None:
    store, uses, kept = MemoryStore(), Uses(), entry("Why?")
    store.put(kept, np.zeros(4, dtype=np.float32))
    for _ in range(3):
        uses.note(kept.id)
    await WriteUses(uses, store, InlineTurns())()
    await WriteUses(uses, store, InlineTurns())()
    uses.note(kept.id)
    [held] = store.of_tenant("acme")
    assert (held.hits, uses.of(held)) == (3, 4)


async def test_what_cannot_be_written_stays_counted(entry: Make) -> None:
    uses, kept = Uses(), entry("Why?")
    uses.note(kept.id)
    with pytest.raises(Unavailable):
        await WriteUses(uses, FullDisk(), InlineTurns())()
    uses.note(kept.id)
    assert uses.of(kept) == 2
