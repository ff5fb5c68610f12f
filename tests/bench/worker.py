"""A process beside the benchmark that does what it is asked: a JSON line in, a JSON line out."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

LONGEST_LINE: Final = 2**26
STOP_SECONDS: Final = 10.0


class Worker:
    """A running process. One question at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, question: Any) -> Any:
        """The answer. Raises `RuntimeError` when the process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} has ended, its last words are above")
        return json.loads(line)


@asynccontextmanager
async def working(
    module: str, *arguments: str, python: Path = Path(sys.executable), env: Mapping[str, str] | None = None
) -> AsyncIterator[Worker]:
    """Run *module* with *python* (None for *env* is ours); its standard input ends with the context; so does it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        python, "-m", module, *arguments, stdin=pipe, stdout=pipe, limit=LONGEST_LINE, env=env
    )
    assert process.stdin is not None
    try:
        yield Worker(process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def serve(answer: Callable[[Any], Awaitable[Any]]) -> None:
    """Answer the lines of standard input until it ends."""
    reader, loop = asyncio.StreamReader(limit=LONGEST_LINE), asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        sys.stdout.write(json.dumps(await answer(json.loads(line))) + "\n")
        sys.stdout.flush()
