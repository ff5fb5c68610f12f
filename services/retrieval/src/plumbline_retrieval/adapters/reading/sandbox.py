"""Reads files in processes of their own: a parser that crashes, loops or hungers ends only its worker.

By asyncio's own subprocesses: a pool of `multiprocessing` needs threads, a tracker process that stays when it is
closed, and pickles, which would let a worker that a file has taken over run code here.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters.reading import wire
from plumbline_retrieval.adapters.reading.extract import refused
from plumbline_retrieval.adapters.reading.reader import read
from plumbline_retrieval.domain.content import Content, File

START_SECONDS: Final = 30.0
"""For a new process to be ready, on a machine that is busy."""
FILES_PER_WORKER: Final = 200
"""Parsers leak: a worker ends before that eats up the memory that a file may need."""
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""The longest text as JSON, several times over."""
_CRASHED: Final = "cannot be read, its reader crashed: open it, save it again or in another format and send that"
_TOO_HUNGRY: Final = "needs too much memory to be read: split it or save it in a simpler format"


class _Lost(Exception):
    """A worker is gone or will go; the text says of the file what that means if the worker had read no other."""


class SandboxedReader:
    """Reads files in up to *workers* processes, each file for at most *seconds*. Belongs to one event loop.

    Processes start when they are needed and are kept for further files. They see neither this one's environment nor
    its open files, but run as the same user.
    """

    def __init__(self, workers: int = 1, *, seconds: float = 20.0, reader: Callable[[File], Content] = read) -> None:
        """*reader* must be a function at the top of a module, which a new process can import."""
        self._seconds = seconds
        self._arguments = (reader.__module__, reader.__qualname__, str(seconds))
        self._workers = workers
        self._turns = asyncio.Semaphore(workers)  # first come, first served
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Lock()
        self._closed = False

    async def read(self, file: File) -> Content:
        """What *file* says.

        Raises `Invalid` for everything that is the file's fault, a crash of its parser included, and `Unavailable` if
        no process can be started or the reader is closed.
        """
        async with self._turns:
            while True:
                worker = await self._worker()
                fresh = not worker.files
                try:
                    return await self._read(worker, file)
                except _Lost as lost:
                    self._check_open()
                    if fresh:  # else it may have been an earlier file that ruined the worker
                        raise refused(str(lost)) from lost

    async def aclose(self) -> None:
        """End every process. Reads that are under way and later ones raise `Unavailable`."""
        self._closed = True
        for worker in self._busy:
            worker.kill()
        async with self._closing:
            for _ in range(self._workers):  # every read has noticed
                await self._turns.acquire()
            while self._idle:
                self._end(self._idle.pop())
            await asyncio.gather(*self._ending)
            for _ in range(self._workers):
                self._turns.release()

    async def _read(self, worker: "_Worker", file: File) -> Content:
        self._busy.add(worker)
        try:
            async with asyncio.timeout(self._seconds):
                return await worker.read(file)
        except TimeoutError:
            sentence = f"takes more than {self._seconds:g} seconds to read: split it or save it in a simpler format"
            raise refused(sentence) from None
        finally:  # reached by a cancelled read, too: its worker is in the middle of a file
            self._busy.discard(worker)
            if worker.fit:
                self._idle.append(worker)
            else:
                self._end(worker)

    async def _worker(self) -> "_Worker":
        self._check_open()
        while self._idle:
            worker = self._idle.pop()
            if worker.runs:
                return worker
            self._end(worker)
        return await self._start()

    async def _start(self) -> "_Worker":
        worker = _Worker(await _process(self._arguments))
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker.ready()
        except (TimeoutError, _Lost) as error:
            self._end(worker)
            raise Unavailable("no process to read the file could be started") from error
        except asyncio.CancelledError:
            self._end(worker)
            raise
        if self._closed:
            self._end(worker)
            self._check_open()
        return worker

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the reader of files is closed")

    def _end(self, worker: "_Worker") -> None:
        worker.kill()
        ending = asyncio.create_task(worker.gone())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


class _Worker:
    """One process, and what is known of it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._requests, self._answers = process, process.stdin, process.stdout
        self.files = 0
        """How many it was given."""
        self.fit = False
        """Whether it waits for another file."""

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    async def ready(self) -> None:
        """Wait for its first word. Raises `_Lost` if there is none."""
        if await self._answers.read(1) != wire.READY:
            raise _Lost(_CRASHED)
        self.fit = True

    async def read(self, file: File) -> Content:
        """Raises `Invalid` if the worker refuses the file, and `_Lost` if that is the worker's end."""
        self.fit = False
        self.files += 1
        try:
            self._requests.write(wire.request(file))
            self._requests.write(file.data)
            await self._requests.drain()
            answer = await self._answer()
            content = wire.content(answer) if "text" in answer else None
        except (EOFError, ConnectionError, KeyError, TypeError, ValueError) as error:
            raise _Lost(_CRASHED) from error
        if wire.HUNGRY in answer:
            raise _Lost(_TOO_HUNGRY)
        self.fit = self.files < FILES_PER_WORKER
        if content is None:
            raise refused(str(answer.get(wire.REFUSED)))
        return content

    async def _answer(self) -> dict[str, Any]:
        length = int.from_bytes(await self._answers.readexactly(wire.LENGTH_BYTES), "big")
        if length > MAX_ANSWER_BYTES:
            raise ValueError("no worker says that much")
        answer = json.loads(await self._answers.readexactly(length))
        if not isinstance(answer, dict):
            raise TypeError("an answer is an object")
        return answer

    def kill(self) -> None:
        """Have it end at once; it may have ended already."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def gone(self) -> None:
        """Wait until a killed worker is gone, and close the pipes to it."""
        self._requests.close()
        await self._process.communicate()


async def _process(arguments: tuple[str, ...]) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "plumbline_retrieval.adapters.reading.worker",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},  # nothing else: a parser need not know the service's secrets
        )
    except OSError as error:
        raise Unavailable("no process to read the file could be started") from error
