"""Starts the parts in the order of their needs, restarts those that die, stops them in reverse."""

import asyncio
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from plumbline_local.catalogue import PARTS, part
from plumbline_local.errors import LocalError, PartFailed
from plumbline_local.layout import Layout
from plumbline_local.parts import Part, Say, State, quiet
from plumbline_local.processes import Board, ProcessId, Record, require_free
from plumbline_local.settings import ROOT

PROBE_SECONDS: Final = 0.1
FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 10.0
STEADY_SECONDS: Final = 5.0
"""A part that was healthy for this long starts again with the first delay."""
HARMLESS: Final = {signal.SIGSTOP, signal.SIGCONT}
"""Signals that end no process."""
TRIES: Final = 5
"""Starts that a part may use up before its first healthy moment."""


@dataclass(slots=True)
class _Watched:
    """One part and what the supervisor knows of it."""

    part: Part
    record: Record
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    child: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    doomed: bool = False
    """A deadly signal was sent: whatever the dying process still answers does not count."""


class Supervisor:
    """Keeps the parts of one layout running in separate processes. One event loop; not for several threads."""

    def __init__(self, layout: Layout, *, say: Say = quiet) -> None:
        self.layout = layout
        self.board = Board(layout.processes)
        self._say = say
        self._watched: dict[str, _Watched] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(
        self, parts: Collection[str] = PARTS, *, env: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """Start those of *parts* that do not run yet, with *env* added to theirs, and return once all are healthy.

        Raises `LocalError`; then call `stop`, for other parts may run.
        """
        wanted = [name for name in PARTS if name in parts and name not in self._watched]
        await self.run([part(self.layout, name, (env or {}).get(name, {}), self._say) for name in wanted])

    async def run(self, parts: Sequence[Part]) -> None:
        """Start *parts* and return once all are healthy. Raises `LocalError`."""
        require_free((each.name, each.port) for each in parts)
        added = [self._watch(each) for each in parts]
        for each in added:
            each.keeper = asyncio.create_task(self._keep(each), name=f"keep {each.part.name}")
        await asyncio.gather(*(_healthy(each) for each in added))

    async def wait_healthy(self, name: str) -> None:
        """Return once *name* answers its health check. After `kill`, this is its next life."""
        await _healthy(self._watched[name])

    def pid(self, name: str) -> int:
        """The pid of *name*; raises `LookupError` while it is between two lives."""
        process = self._watched[name].record.process
        if process is None:
            raise LookupError(f"{name} is not running")
        return process.pid

    def restarts(self, name: str) -> int:
        """How often *name* was started again."""
        return self._watched[name].record.restarts

    def state(self, name: str) -> State:
        """What *name* is doing."""
        return self._watched[name].record.state

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to *name*, as a fault would; it is restarted if it dies, and not healthy until then.

        It must end the part, or be SIGSTOP or SIGCONT.
        """
        watched = self._watched[name]
        if watched.child is not None and watched.child.returncode is None:
            if number not in HARMLESS:
                watched.doomed = True
                watched.healthy.clear()
            watched.child.send_signal(number)

    async def stop(self, parts: Collection[str] | None = None) -> None:
        """Stop *parts* (default: all), the ones that need others first, and return once they are gone."""
        leaving = [each for name, each in self._watched.items() if parts is None or name in parts]
        await asyncio.gather(*(self._stop(each, leaving) for each in leaving))

    def _watch(self, each: Part) -> _Watched:
        watched = _Watched(each, Record())
        self._watched[each.name] = watched
        self.board.parts[each.name] = watched.record
        return watched

    async def _keep(self, watched: _Watched) -> None:
        for name in watched.part.needs:
            if name in self._watched:
                await self._watched[name].settled.wait()
        failures = 0
        while True:
            steady = await self._try_to_live(watched)
            failures = 0 if steady else failures + 1
            if failures >= TRIES and not watched.settled.is_set():
                raise PartFailed(self._obituary(watched))
            watched.record.restarts += 1
            self._enter(watched, "restarting")
            await asyncio.sleep(min(FIRST_DELAY * 2**failures, LONGEST_DELAY))

    async def _try_to_live(self, watched: _Watched) -> bool:
        """`_live`; but once a part was well, nothing that hinders its next start ends the restarts."""
        try:
            return await self._live(watched)
        except (LocalError, OSError):
            if not watched.settled.is_set():
                raise
            return False

    async def _live(self, watched: _Watched) -> bool:
        """One life of a part, from preparation to exit; true if it was healthy for a good while."""
        self._enter(watched, "preparing")
        await watched.part.prepare()
        watched.doomed = False
        watched.child = await self._spawn(watched.part)
        watched.record.process = ProcessId.of(watched.child.pid)
        self._enter(watched, "starting")
        probing = asyncio.create_task(self._probe(watched))
        exited = asyncio.create_task(watched.child.wait())
        try:
            await asyncio.wait({probing, exited}, return_when=asyncio.FIRST_COMPLETED)
            steady = probing.done() and probing.result()
            await exited
            return steady
        finally:
            await _cancel(probing, exited)
            watched.healthy.clear()
            if watched.child.returncode is not None:
                watched.record.process = None

    async def _probe(self, watched: _Watched) -> bool:
        while not await watched.part.healthy() or watched.doomed:  # noqa: ASYNC110  # health is only told when asked
            await asyncio.sleep(PROBE_SECONDS)
        if not watched.settled.is_set():
            await watched.part.settle()
            watched.settled.set()
        watched.healthy.set()
        self._enter(watched, "healthy")
        await asyncio.sleep(STEADY_SECONDS)
        return True

    async def _spawn(self, each: Part) -> asyncio.subprocess.Process:
        log = self.layout.log(each.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *each.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.layout.inherited, **each.environment},
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C in a terminal reaches the supervisor alone
            )

    def _enter(self, watched: _Watched, state: State) -> None:
        watched.record.state = state
        self.board.write()
        self._say(watched.part.name, state)

    def _obituary(self, watched: _Watched) -> str:
        log = self.layout.log(watched.part.name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        return f"{watched.part.name} stopped {TRIES} times at its start; its log {log} ends with: {last[:300]}"

    async def _stop(self, watched: _Watched, leaving: Sequence[_Watched]) -> None:
        for other in leaving:
            if watched.part.name in other.part.needs:
                await other.stopped.wait()
        if watched.keeper is not None:
            await _cancel(watched.keeper)
        await _end(watched)
        watched.record.process = None
        self._enter(watched, "stopped")
        del self._watched[watched.part.name]
        watched.stopped.set()


async def _end(watched: _Watched) -> None:
    child = watched.child
    if child is None or child.returncode is not None:
        return
    child.send_signal(watched.part.stop_signal)
    try:
        async with asyncio.timeout(watched.part.stop_seconds):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


async def _healthy(watched: _Watched) -> None:
    """Return once *watched* is healthy; raises what its keeper raised."""
    waiting = asyncio.create_task(watched.healthy.wait())
    keeper = watched.keeper
    assert keeper is not None
    await asyncio.wait({waiting, keeper}, return_when=asyncio.FIRST_COMPLETED)
    if keeper.done():
        await _cancel(waiting)
        keeper.result()


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
