"""What the engine still holds when the process was killed."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_cache.adapters.qdrant import QdrantStore

Make = Callable[..., Any]

# Writes without end: an entry, its floor, a notice; carries the one before and drops the one before that.
WRITER = """
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.domain.entry import Entry, Scope, Source, entry_id
from plumbline_cache.domain.freshness import Cause, Floor, dropped

scope, now = Scope("acme", (), "default", "r1"), datetime(2026, 3, 1, tzinfo=UTC)
vector = np.ones(4, dtype=np.float32) / 2

def entry(number):
    place, sources = entry_id(scope, f"question {number}"), (Source(f"document {number}", 1, "h"),)
    return Entry(place, scope, f"question {number}", b"answer", f"answer-{number}", sources, now, now, "e", now)

store, number = QdrantStore.open(Path(sys.argv[1]), 4), 2
while True:
    store.put(entry(number), vector)
    store.keep_floor(Floor("acme", f"document {number}", number))
    store.add_notice(dropped(entry(number), Cause.RELEASE, now))
    before = entry(number - 1)
    if store.find(before.id):
        store.carry(before, replace(before, sources=(replace(before.sources[0], version=2),)))
    store.drop(entry(number - 2))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def killed_after(folder: Path, writes: int) -> int:
    """The last number that the writer acknowledged before it was killed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = next(int(line) for line in writer.stdout if int(line) >= writes)
        writer.send_signal(signal.SIGKILL)
        return max([last, *map(int, writer.stdout.read().split("\n")[:-1])])


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, entry: Make) -> None:
    last = killed_after(tmp_path / "shard", 300)
    store = QdrantStore.open(tmp_path / "shard", 4)
    documents = [f"document {number}" for number in range(2, last + 1)]
    floors = store.floors("acme", documents)
    assert [floors[document].version for document in documents] == list(range(2, last + 1))
    held = {e.answer_id: e.sources[0].version for e in store.of_tenant("acme")}
    assert held[f"answer-{last - 1}"] == 2
    assert f"answer-{last}" in held
    assert f"answer-{last - 2}" not in held
    assert len(held) <= 4
    store.close()


def test_the_log_is_cut_so_that_it_does_not_grow_for_ever(tmp_path: Path, entry: Make) -> None:
    store = QdrantStore.open(tmp_path / "shard", 4, flush_every=10)
    large = replace(entry("Why?", ("prices", 1, "h1")), answer=b"x" * 1_000_000)
    for _ in range(120):
        store.put(large, np.array([1, 0, 0, 0], dtype=np.float32))
    log = sum(path.stat().st_size for path in (tmp_path / "shard" / "wal").rglob("*"))
    assert log < 4 * 32 * 2**20  # the engine keeps three pieces of 32 MiB
    store.close()
