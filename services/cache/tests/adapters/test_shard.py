"""What becomes of a disk that is full."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.adapters.shard import Shard
from plumbline_cache.domain.freshness import Floor
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
VECTOR = np.array([1, 0, 0, 0], dtype=np.float32)


class Disk:
    """The engine, whose updates fail while there is no room: it raises a bare `Exception` then."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def update(self, operation: Any) -> None:
        if self.full:
            raise Exception("Service internal error: No space left on device (os error 28)")
        self._engine.update(operation)


def test_a_full_disk_refuses_what_is_written_and_reads_go_on(tmp_path: Path, entry: Make) -> None:
    disk = Disk(Shard.open(tmp_path / "shard", 4)._engine)
    store = QdrantStore(Shard(disk), tmp_path / "cells.npy")
    kept, other = entry("Why?", ("prices", 1, "h1")), entry("Who?", ("prices", 1, "h1"))
    store.put(kept, VECTOR)
    disk.full = True
    with pytest.raises(Unavailable):
        store.put(other, VECTOR)
    with pytest.raises(Unavailable):
        store.keep_floor(Floor("acme", "prices", 2))
    assert store.find(kept.id) == kept
    assert [each.entry.id for each in store.nearest(kept.scope, VECTOR, least=0.9, limit=5)] == [kept.id]
    disk.full = False
    store.put(other, VECTOR)
    assert store.count("acme") == 2
    store.close()


def test_cells_that_cannot_be_written_are_not_used(tmp_path: Path, entry: Make) -> None:
    store = QdrantStore(Shard.open(tmp_path / "shard", 4), tmp_path / "missing" / "cells.npy", laid_from=1)
    kept = entry("Why?", ("prices", 1, "h1"))
    with pytest.raises(Unavailable):
        store.put(kept, VECTOR)
    assert [each.entry.id for each in store.nearest(kept.scope, VECTOR, least=0.9, limit=5)] == [kept.id]
    store.close()
