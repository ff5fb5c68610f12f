"""What the cache's embedded store takes: 1,000, 10,000 and 100,000 entries of one scope and of 50, in process.

Vectors are the encoder's of 8,192 questions of qqp, beyond those the same with noise; what is looked for are questions
that were stored. Each size in a process of its own, for its memory.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.domain.entry import Entry, Scope, Source, Vector, entry_id
from plumbline_cache.domain.freshness import Floor
from plumbline_local.encoder import ensure_encoder
from plumbline_local.layout import Layout
from plumbline_models.encoder import Encoder
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.settings import BenchSettings

SIZES = (1_000, 10_000, 100_000)
SCOPES = (1, 50)
ENCODED = 8_192
NOISE = 0.9
LEAST = 0.9
LIMIT = 8
ASKED = 400
ANSWER = b"x" * 3_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2036, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measure each size in a process of its own, then report."""
    with tempfile.TemporaryDirectory(prefix="plumbline-cache-") as folder:
        vectors = Path(folder) / "questions.npy"
        encoder = Encoder.load(ensure_encoder(Layout.local()))
        np.save(vectors, encoder.encode(_questions(BenchSettings.from_env().data)))
        results = [figure for scopes in SCOPES for size in SIZES for figure in _measured(vectors, size, scopes)]
    figures.report("bench-cache-store", results)


def _measured(vectors: Path, size: int, scopes: int) -> list[Figure]:
    command = [sys.executable, "-m", "tests.bench.cache_store", str(vectors), str(size), str(scopes)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    pairs = [line.split() for line in printed.splitlines()]
    return [Figure(f"{size:,} in {scopes}: {name}", float(value)) for name, value in pairs]


def _questions(data: Path) -> list[str]:
    """Distinct questions of qqp, the first ones."""
    found: dict[str, None] = {}
    with gzip.open(data / "qqp/qqp_pairs_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            pair = json.loads(line)
            found |= {pair["q1"]: None, pair["q2"]: None}
            if len(found) >= ENCODED:
                break
    return list(found)[:ENCODED]


@dataclass(frozen=True)
class Filled:
    """A store of *size* entries in equal scopes, and what was put into it."""

    store: QdrantStore
    vectors: Vector
    scopes: int

    @property
    def size(self) -> int:
        return len(self.vectors)

    def scope(self, number: int) -> Scope:
        return Scope("bench", (), "default", f"r{number % self.scopes}")

    def entry(self, number: int) -> Entry:
        sources = tuple(Source(f"document {number * step % 1_000}", 1, "h" * 64) for step in (1, 7, 13))
        question, scope = f"question {number}", self.scope(number)
        return Entry(entry_id(scope, question), scope, question, ANSWER, f"a{number}", sources, NOW, NOW, "e", LATER)

    def fill(self) -> None:
        for number in range(self.size):
            self.store.put(self.entry(number), self.vectors[number])

    def near(self, number: int) -> set[str]:
        found = self.store.nearest(self.scope(number), self.vectors[number], least=LEAST, limit=LIMIT)
        return {neighbour.entry.id for neighbour in found}

    def truly_near(self, number: int) -> set[str]:
        """Of all of the scope, read one by one."""
        mine = np.arange(number % self.scopes, self.size, self.scopes)
        likeness = self.vectors[mine] @ self.vectors[number]
        best = mine[np.argsort(-likeness)[:LIMIT]]
        return {self.entry(int(each)).id for each in best if self.vectors[each] @ self.vectors[number] >= LEAST}


def measure(vectors: Path, size: int, scopes: int) -> None:
    """Print what a store of *size* entries takes, a name and a value a line."""
    points = _vectors(np.load(vectors), size)
    with tempfile.TemporaryDirectory(prefix="plumbline-cache-") as folder:
        filled = Filled(QdrantStore.open(Path(folder) / "shard", points.shape[1]), points, scopes)
        held = psutil.Process().memory_info().rss
        began = time.perf_counter()
        filled.fill()
        say("put_entries_per_s", size / (time.perf_counter() - began))
        say("resident_mib", (psutil.Process().memory_info().rss - held) / 2**20)
        _time(filled)
        filled.store.close()


def _time(filled: Filled) -> None:
    asked = [int(number) for number in np.random.default_rng(1).integers(0, filled.size, ASKED)]
    entries = [filled.entry(number) for number in asked]
    for name in {document for entry in entries for document in entry.documents}:
        filled.store.keep_floor(Floor("bench", name, 1))
    at = dict(zip(asked, entries, strict=True))
    timed("find", asked, lambda number: filled.store.find(at[number].id))
    timed("nearest", asked, filled.near)
    timed("floors", asked, lambda number: filled.store.floors("bench", at[number].documents))
    timed("count", asked, lambda number: filled.store.count("bench"))
    timed("put", asked, lambda number: filled.store.put(at[number], filled.vectors[number]))
    pairs = [(filled.near(number), filled.truly_near(number)) for number in asked]
    say("recall", sum(len(near & truly) for near, truly in pairs) / sum(len(truly) for _, truly in pairs))


def timed(name: str, numbers: list[int], call: Callable[[int], object]) -> None:
    """Say how long a call takes."""
    seconds = []
    for number in numbers:
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    for figure in figures.timings(name, seconds):
        say(figure.name, figure.value or 0.0)


def _vectors(encoded: Vector, size: int) -> Vector:
    draw = np.random.default_rng(0)
    copies = encoded[draw.integers(0, len(encoded), max(0, size - len(encoded)))]
    noise = draw.standard_normal(copies.shape).astype(np.float32) * NOISE / np.sqrt(encoded.shape[1])
    points = np.concatenate([encoded, copies + noise])[:size]
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def say(name: str, value: float) -> None:
    """One figure for the process that asked."""
    sys.stdout.write(f"{name} {value}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
