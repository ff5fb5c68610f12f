"""GPTCache with its SQLite and Faiss stores, in this process, as its README sets it up: the peer of `bench-cache`.

Runs in an environment of its own. Does what it is told, a JSON line in and one out (`tests.bench.worker`):
`{"do": "fill", "questions": …, "encoded": …}` and `{"do": "ask", "questions": …, "in_flight": …}`.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from gptcache import Cache, Config
from gptcache.adapter.api import get
from gptcache.embedding import SBERT
from gptcache.manager import CacheBase, VectorBase, get_data_manager
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation import SearchDistanceEvaluation

from tests.bench.worker import serve

ANSWER: Final = "It costs 49 euros, and it is in stock. " * 8
MOST_ENTRIES: Final = 200_000
"""It keeps 1,000 unless told otherwise."""
AT_ONCE: Final = 500
NOISE: Final = 0.6


class Peer:
    """The cache, filled step by step."""

    def __init__(self, folder: Path, model: Path, least_cosine: float) -> None:
        self._encoder = SBERT(str(model))
        self._random = np.random.default_rng(0)
        self._vectors: list[np.ndarray] = []
        self._given: dict[str, np.ndarray] = {}
        self._turn = threading.Lock()
        self._cache = Cache()
        self._cache.init(
            pre_embedding_func=get_prompt,
            embedding_func=self._embed,
            data_manager=get_data_manager(
                CacheBase("sqlite", sql_url=f"sqlite:///{folder}/gptcache.db"),
                VectorBase(
                    "faiss", dimension=self._encoder.dimension, index_path=str(folder / "gptcache.index"), top_k=1
                ),
                max_size=MOST_ENTRIES,
            ),
            similarity_evaluation=SearchDistanceEvaluation(),
            config=Config(similarity_threshold=(1 + least_cosine) / 2),  # its measure of a cosine
        )

    def fill(self, questions: Sequence[str], encoded: int) -> int:
        """Store *questions*. Vectors after the first *encoded* are those of its encoder with noise.

        They cost as much to compare, and to encode 100,000 texts says nothing of a lookup. Many rows are one commit to
        SQLite, by its own import, to which what stores one answer comes too.
        """
        for start in range(0, len(questions), AT_ONCE):
            block = questions[start : start + AT_ONCE]
            for number, question in enumerate(block[max(0, encoded - start) :], start + max(0, encoded - start)):
                self._given[question] = self._near(self._vectors[number % len(self._vectors)])
            self._cache.import_data(block, [ANSWER] * len(block))
            self._given.clear()
        return len(questions)

    def ask(self, questions: Sequence[str], in_flight: int) -> dict[str, Any]:
        """Seconds of every lookup and whether it was answered, and seconds of all together.

        Many wait for each other: its SQLite raises "database is locked" where threads look up at the same time.
        """
        began = time.perf_counter()
        if in_flight == 1:
            taken = list(map(self._timed, questions))
        else:
            with ThreadPoolExecutor(in_flight) as threads:
                taken = list(threads.map(self._timed, questions))
        return {"taken": taken, "seconds": time.perf_counter() - began}

    def _timed(self, question: str) -> tuple[float, bool]:
        began = time.perf_counter()
        with self._turn:
            found = get(question, cache_obj=self._cache)
        return time.perf_counter() - began, found is not None

    def _embed(self, text: str, **_: Any) -> np.ndarray:
        if text in self._given:
            return self._given[text]
        vector = np.asarray(self._encoder.to_embeddings(text), np.float32)
        self._vectors.append(vector)
        return vector

    def _near(self, vector: np.ndarray) -> np.ndarray:
        near = vector + NOISE * self._random.normal(size=vector.shape) / np.sqrt(len(vector))
        return np.asarray(near / np.linalg.norm(near), np.float32)


async def main(options: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    peer = Peer(options.folder, options.model, options.least_cosine)

    async def answer(job: dict[str, Any]) -> Any:
        if job["do"] == "fill":
            return peer.fill(job["questions"], job["encoded"])
        return peer.ask(job["questions"], job["in_flight"])

    await serve(answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--least-cosine", type=float, required=True)
    asyncio.run(main(parser.parse_args()))
