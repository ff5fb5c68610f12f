"""Joins the texts of concurrent requests and encodes them in worker threads."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import numpy as np

from plumbline_models.encoder import Vectors

MAX_BATCH: Final = 32


class TextEncoder(Protocol):
    """What encodes: `plumbline_models.encoder.Encoder`, or a fake of it."""

    id: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row a text; called from several threads."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    texts: Sequence[str]
    vectors: asyncio.Future[Vectors]


class BatchingEncoder:
    """An encoder for one event loop.

    An idle encoder starts at once. A request that finds others at work waits for company: until a worker is
    free, and where one is, at most *max_wait_seconds*. Requests are served in order, and a large one goes in
    parts, so that a question waits behind a part of a document and not behind the whole.
    """

    def __init__(self, encoder: TextEncoder, *, workers: int = 1, max_wait_seconds: float = 0.003) -> None:
        self.id = encoder.id
        self.dimensions = encoder.dimensions
        self._encoder = encoder
        self._workers = workers
        self._max_wait_seconds = max_wait_seconds
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="encoder")
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Future[Vectors]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised row a text, in their order. Raises what the encoder raised for the batch."""
        parts = [await self._join(texts[start : start + MAX_BATCH]) for start in range(0, len(texts), MAX_BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    async def encode_one(self, text: str) -> Vectors:
        """The vector of one text, shape (dimensions,)."""
        vectors = await self._join([text])
        return np.asarray(vectors[0])

    async def aclose(self) -> None:
        """Finish what was asked for, then refuse more with `RuntimeError`."""
        self._closed = True
        while self._waiting or self._running:
            self._schedule()
            await asyncio.wait(self._running)
        self._threads.shutdown()

    async def _join(self, texts: Sequence[str]) -> Vectors:
        if self._closed:
            raise RuntimeError("the encoder is closed")
        request = _Waiting(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._schedule()
        return await request.vectors

    def _schedule(self) -> None:
        if not self._waiting or len(self._running) == self._workers:
            return
        enough = sum(len(request.texts) for request in self._waiting) >= MAX_BATCH
        if enough or not self._running or self._closed:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._max_wait_seconds, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self._running) == self._workers:
            return
        if batch := self._take():
            texts = [text for request in batch for text in request.texts]
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.encode, texts)
            self._running.add(running)
            running.add_done_callback(partial(self._finish, batch))

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and size + len(self._waiting[0].texts) <= MAX_BATCH:
            request = self._waiting.popleft()
            if not request.vectors.cancelled():
                batch.append(request)
                size += len(request.texts)
        return batch

    def _finish(self, batch: list[_Waiting], running: asyncio.Future[Vectors]) -> None:
        self._running.discard(running)
        _deliver(batch, running)
        self._start()


def _deliver(batch: list[_Waiting], finished: asyncio.Future[Vectors]) -> None:
    error = finished.exception()
    start = 0
    for request in batch:
        end = start + len(request.texts)
        if request.vectors.done():  # its caller has gone
            pass
        elif error is not None:
            request.vectors.set_exception(error)
        else:
            request.vectors.set_result(finished.result()[start:end])
        start = end
