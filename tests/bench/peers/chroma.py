"""ChromaDB's server, asked over HTTP by a client that encodes; the open server has no BM25."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import chromadb
import httpx
import numpy as np
from chromadb.api import ClientAPI
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction
from numpy.typing import NDArray

from tests.bench.peers.yardstick import Job, measure

HOST = "127.0.0.1"
BATCH = 256
START_SECONDS = 60
GRAPH = {"space": "cosine", "ef_construction": 500, "ef_search": 500, "max_neighbors": 32}
"""With the server's own values hit@1 on xquad is 0.71 instead of 0.80: the graph misses what exact cosine finds."""


class Chroma:
    """The peer."""

    def __init__(self, client: ClientAPI, server: int, model: str) -> None:
        self._server = server
        self._encoder = SentenceTransformerEmbeddingFunction(model_name=model)
        self._collection = client.create_collection(
            "pooled", embedding_function=self._encoder, configuration={"hnsw": GRAPH}
        )

    def encode(self, texts: Sequence[str]) -> object:
        """See `Peer`."""
        return self._encoder(list(texts))

    def fill(self, passages: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """See `Peer`."""
        for start in range(0, len(passages), BATCH):
            some = range(start, min(start + BATCH, len(passages)))
            self._collection.add(
                ids=[str(number) for number in some],
                documents=[passages[number] for number in some],
                embeddings=vectors[start : start + BATCH],
            )

    def search(self, text: str, count: int) -> list[int]:
        """See `Peer`."""
        return [int(number) for number in self._collection.query(query_texts=[text], n_results=count)["ids"][0]]

    def processes(self) -> list[int]:
        """See `Peer`."""
        return [os.getpid(), self._server]


@contextmanager
def serving(folder: Path) -> Iterator[tuple[ClientAPI, int]]:
    """A server with its data in *folder*, on a port that was free a moment ago: a client of it, and its process id."""
    port = _free_port()
    command = [Path(sys.executable).with_name("chroma"), "run", "--path", folder, "--host", HOST, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # it prints four lines a request
    try:
        _wait(f"http://{HOST}:{port}/api/v2/heartbeat")
        yield chromadb.HttpClient(host=HOST, port=port), server.pid
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _wait(address: str) -> None:
    """Return once it answers. Raises `TimeoutError`."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(address).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers at {address}")


def main(folder: Path) -> None:
    """Measure the job in *folder*."""
    job = Job.load(folder)
    with serving(folder / "chroma") as (client, server):
        measure(Chroma(client, server, job.model), job).save(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
