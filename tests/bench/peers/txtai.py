"""txtai's hybrid index (BM25 beside vectors) in the process that asks."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from txtai import Embeddings

from tests.bench.peers.yardstick import Job, measure


class Txtai:
    """The peer."""

    def __init__(self, model: str) -> None:
        self._encoder = Embeddings(path=model, gpu=False)
        self._given: dict[str, NDArray[np.float32]] = {}

        def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
            if self._given:
                return np.stack([self._given[text] for text in texts])
            return np.asarray(self._encoder.batchtransform(texts))

        self._index = Embeddings(method="external", transform=vectors, hybrid=True)

    def encode(self, texts: Sequence[str]) -> object:
        """See `Peer`."""
        return self._encoder.batchtransform(texts)

    def fill(self, passages: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """See `Peer`."""
        self._given = dict(zip(passages, vectors, strict=True))
        self._index.index(enumerate(passages))
        self._given = {}  # questions are encoded

    def search(self, text: str, count: int) -> list[int]:
        """See `Peer`."""
        return [number for number, _ in self._index.search(text, count)]

    def processes(self) -> list[int]:
        """See `Peer`."""
        return [os.getpid()]


def main(folder: Path) -> None:
    """Measure the job in *folder*."""
    job = Job.load(folder)
    measure(Txtai(job.model), job).save(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
