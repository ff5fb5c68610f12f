"""Cells of the space of questions, so that a search in a large store reads the near ones and not all.

A cell is what lies nearest to one landmark, and landmarks are questions that were there when the cells were laid.
Whoever asks reads the cells of the landmarks nearest to the question: an inverted file without training.
"""

import os
from pathlib import Path
from typing import Final

import numpy as np

from plumbline_cache.domain.entry import Vector
from plumbline_kit.errors import Unavailable

LANDMARKS: Final = 2_048
PROBED: Final = 16
"""Cells that a search reads. Of the entries with a cosine of at least 0.9 they hold 998 in 1,000, of those with
0.85 to 0.9 992, and 1 in 100 of all (72,060 questions of qqp)."""

APART: Final = 0.7
"""Landmarks are no nearer to each other, or a crowd of like questions would be cut into more cells than are read."""


class Cells:
    """A partition of unit vectors that never changes."""

    def __init__(self, landmarks: Vector) -> None:
        """*landmarks*: one unit vector a row."""
        self._landmarks = landmarks

    @classmethod
    def around(cls, vectors: Vector) -> "Cells":
        """Cells whose landmarks are those of *vectors*, one a row, that are not too near to one before."""
        landmarks, found = np.empty_like(vectors), 0
        for vector in vectors:
            if not found or float(_likeness(landmarks[:found], vector).max()) < APART:
                landmarks[found] = vector
                found += 1
        return cls(landmarks[:found])

    @classmethod
    def load(cls, path: Path) -> "Cells | None":
        """Those that were saved there, or None."""
        return cls(np.load(path)) if path.exists() else None

    def save(self, path: Path) -> None:
        """Return once they outlive the machine. Raises `Unavailable` when there is no room."""
        draft = path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                np.save(file, self._landmarks)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise Unavailable(f"the cache's cells cannot be written: {error}") from error

    def of(self, vector: Vector) -> int:
        """The one that *vector* lies in."""
        return int(_likeness(self._landmarks, vector).argmax())

    def near(self, vector: Vector) -> list[int]:
        """Those that the nearest neighbours of *vector* lie in, most likely."""
        likeness = _likeness(self._landmarks, vector)
        if len(likeness) <= PROBED:
            return list(range(len(likeness)))
        return [int(cell) for cell in np.argpartition(-likeness, PROBED)[:PROBED]]


def _likeness(rows: Vector, vector: Vector) -> Vector:
    # Not `@`: BLAS gives so many rows to threads that wait for each other in a loop. That takes 0.1 ms on a quiet
    # machine and 5 where another process has a core; row by row it takes 0.15 on either.
    likeness: Vector = np.vecdot(rows, vector)
    return likeness
