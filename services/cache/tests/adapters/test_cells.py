"""A large store reads near cells alone, and finds what reading everything finds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_cache.adapters.cells import PROBED, Cells
from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.domain.entry import Scope, Vector

Make = Callable[..., Any]
DIMENSIONS = 24
SCOPES = [Scope("acme", (), "default", "r1"), Scope("globex", (), "default", "r1")]


def crowd(number: int, *, around: int = 40, spread: float = 0.1, seed: int = 1) -> Vector:
    """Unit vectors in as many groups."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((around, DIMENSIONS))
    points = centres[draw.integers(0, around, number)] + spread * draw.standard_normal((number, DIMENSIONS))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def fill(store: QdrantStore, entry: Make, vectors: Vector, start: int = 0) -> None:
    for number, vector in enumerate(vectors, start):
        store.put(entry(f"question {number}", scope=SCOPES[number % 2]), vector)


def found(store: QdrantStore, vector: Vector, scope: Scope = SCOPES[0]) -> list[str]:
    return [neighbour.entry.question for neighbour in store.nearest(scope, vector, least=0.9, limit=8)]


def truly_near(vectors: Vector, vector: Vector) -> list[str]:
    likeness = vectors @ vector
    best = [n for n in np.argsort(-likeness) if n % 2 == 0 and likeness[n] >= 0.9]
    return [f"question {number}" for number in best[:8]]


def test_cells_find_what_reading_everything_finds(tmp_path: Path, entry: Make) -> None:
    vectors = crowd(600)
    store = QdrantStore.open(tmp_path / "shard", DIMENSIONS, laid_from=200)
    fill(store, entry, vectors)
    assert (tmp_path / "shard.npy").exists()
    for vector in vectors[:60]:
        assert found(store, vector) == truly_near(vectors, vector)
    store.close()


def test_while_cells_are_laid_everything_is_read(tmp_path: Path, entry: Make) -> None:
    vectors = crowd(260)
    store = QdrantStore.open(tmp_path / "shard", DIMENSIONS, laid_from=200)
    for number, vector in enumerate(vectors):
        store.put(entry(f"question {number}", scope=SCOPES[number % 2]), vector)
        if number % 20 == 0:
            assert found(store, vectors[0]) == truly_near(vectors[: number + 1], vectors[0])
    store.close()


def test_a_stop_while_cells_are_laid_loses_nothing(tmp_path: Path, entry: Make) -> None:
    vectors = crowd(300)
    store = QdrantStore.open(tmp_path / "shard", DIMENSIONS, laid_from=200)
    fill(store, entry, vectors[:201])
    store.close()
    again = QdrantStore.open(tmp_path / "shard", DIMENSIONS, laid_from=200)
    assert found(again, vectors[0]) == truly_near(vectors[:201], vectors[0])
    fill(again, entry, vectors[201:], start=201)
    assert found(again, vectors[0]) == truly_near(vectors, vectors[0])
    again.close()


def test_an_entry_that_is_put_again_lies_where_its_new_vector_does(tmp_path: Path, entry: Make) -> None:
    vectors = crowd(300)
    store = QdrantStore.open(tmp_path / "shard", DIMENSIONS, laid_from=200)
    fill(store, entry, vectors)
    moved = replace(entry("question 0", scope=SCOPES[0]), answer_id="another")
    store.put(moved, -vectors[0])
    assert found(store, -vectors[0]) == ["question 0"]
    store.close()


def test_a_crowd_of_like_questions_is_one_cell() -> None:
    crowded = np.concatenate([crowd(400, around=1, spread=0.02), crowd(60, seed=2)])
    cells = Cells.around(crowded)
    homes = {cells.of(vector) for vector in crowded[:400]}
    assert homes <= set(cells.near(crowded[0]))
    assert len(cells.near(crowded[0])) == PROBED
