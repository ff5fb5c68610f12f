"""`Turns` on threads of our own, so that the default pool's users don't wait for the engine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadTurns:
    """With one worker, work is done strictly one after the other: that is the writer's lock."""

    def __init__(self, name: str, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """See `Turns`."""
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Return when everything begun is done."""
        self._pool.shutdown()
