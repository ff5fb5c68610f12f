"""Hits are counted in memory and written down beside the request path."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore
from plumbline_cache.handlers.uses import AT_ONCE, Uses, WriteUses
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


class HalfFullDisk(MemoryStore):
    """Takes the first turn's and no more."""

    turns = 0

    def add_hits(self, hits: Mapping[str, int]) -> None:
        self.turns += 1
        if self.turns > 1:
            raise Unavailable("no space left")
        super().add_hits(hits)


async def test_many_are_written_in_several_turns_and_only_what_was_not_written_stays_counted(entry: Make) -> None:
    store, uses = HalfFullDisk(), Uses()
    for number in range(AT_ONCE + 1):
        store.put(entry(f"question {number}"), np.zeros(4, dtype=np.float32))
    for kept in store.of_tenant("acme"):
        uses.note(kept.id)
    with pytest.raises(Unavailable):
        await WriteUses(uses, store, InlineTurns())()
    held = list(store.of_tenant("acme"))
    assert sum(one.hits for one in held) == AT_ONCE
    assert [uses.of(one) for one in held] == [1] * (AT_ONCE + 1)
