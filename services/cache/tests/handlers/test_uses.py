"""Hits are counted in memory and written down beside the request path."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore
from plumbline_cache.adapters.turns import ThreadTurns
from plumbline_cache.handlers.uses import AT_ONCE, Uses, WriteUses
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import eventually

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


class SlowDisk(MemoryStore):
    """Writes when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def add_hits(self, hits: Mapping[str, int]) -> None:
        self.begun.set()
        self.go.wait()
        super().add_hits(hits)


async def test_what_is_being_written_when_it_is_stopped_is_counted_once(entry: Make) -> None:
    store, uses, kept, writer = SlowDisk(), Uses(), entry("Why?"), ThreadTurns("test-writer", 1)
    store.put(kept, np.zeros(4, dtype=np.float32))
    uses.note(kept.id)
    writing = asyncio.create_task(WriteUses(uses, store, writer)())
    await eventually(store.begun.is_set)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    store.go.set()
    await writer.run(lambda: None)
    [held] = store.of_tenant("acme")
    assert uses.of(held) == 1
    writer.close()


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
