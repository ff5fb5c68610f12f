"""Encodes the texts of concurrent requests in worker threads."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from plumbline_models.encoder import Vectors

MAX_BATCH: Final = 32
"""Texts that a worker takes at once."""


class TextEncoder(Protocol):
    """What encodes: `plumbline_models.encoder.Encoder`, or a fake of it."""

    id: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row a text; called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Motion:
    """How an encoder gets on, as its threads know it: the event loop may hear of it much later."""

    finished: float
    """When it last finished something, in seconds of `time.monotonic`."""
    worked_seconds: float
    """Processor time since then. It stands still where the encoder hangs and creeps where the machine is busy."""


class ThreadedEncoder:
    """An encoder for one event loop.

    Requests are served in order, and a large one goes in parts, so that a question waits behind a part of a document
    and not behind the whole. They are not joined: a text is encoded by itself anyway, and a worker that takes the
    next one without asking the loop is never idle. Joined, 16 questions went in step, first all through the encoder
    and then all through the rest: 172 searches a second on two cores, 205 apart.
    """

    def __init__(self, encoder: TextEncoder, *, workers: int = 1) -> None:
        self.id = encoder.id
        self.dimensions = encoder.dimensions
        self._encoder = encoder
        self._clocks: list[int] = []
        self._finished = time.monotonic(), 0.0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="encoder", initializer=self._begin)
        self._running: set[asyncio.Future[Vectors]] = set()
        self._closed = False

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised row a text, in their order. Raises what the encoder raised."""
        parts = [await self._run(texts[start : start + MAX_BATCH]) for start in range(0, len(texts), MAX_BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    async def encode_one(self, text: str) -> Vectors:
        """The vector of one text, shape (dimensions,)."""
        vectors = await self._run([text])
        return np.asarray(vectors[0])

    def motion(self) -> Motion:
        """How it gets on now."""
        finished, worked = self._finished
        return Motion(finished, self._worked_seconds() - worked)

    async def aclose(self) -> None:
        """Finish what was asked for, then refuse more with `RuntimeError`."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.to_thread(self._threads.shutdown)  # may wait for what a caller that has gone asked for

    async def _run(self, texts: Sequence[str]) -> Vectors:
        if self._closed:
            raise RuntimeError("the encoder is closed")
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._encode, texts)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await running

    def _begin(self) -> None:
        self._clocks.append(time.pthread_getcpuclockid(threading.get_ident()))

    def _encode(self, texts: Sequence[str]) -> Vectors:
        try:
            return self._encoder.encode(texts)
        finally:
            self._finished = time.monotonic(), self._worked_seconds()

    def _worked_seconds(self) -> float:
        return sum(map(time.clock_gettime, self._clocks))
