"""`up`, `down` and `status`: what the command line does with a platform that runs in the background."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plumbline_local.catalogue import PARTS, SERVICES, part
from plumbline_local.encoder import ensure_encoder
from plumbline_local.errors import LocalError, PartFailed
from plumbline_local.issuer import issue
from plumbline_local.kafka.jars import ensure_jars, find_java
from plumbline_local.layout import Layout
from plumbline_local.locks import locked
from plumbline_local.parts import Say, quiet
from plumbline_local.processes import Board, ProcessId, require_free
from plumbline_local.settings import ROOT

POLL_SECONDS: Final = 0.1
SUPERVISOR_STOP_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of `plumbline status`."""

    name: str
    state: str
    """What the supervisor last saw; "unsupervised" for a process that a killed supervisor left behind."""
    pid: int | None
    port: int
    restarts: int
    memory_bytes: int
    log: Path


async def up(layout: Layout, say: Say = quiet, *, parts: Collection[str] = PARTS) -> bool:
    """Start *parts* in the background and return once they are healthy.

    False: it was running already. Raises `LocalError`; the platform is down again then.
    """
    with locked(layout.lock("up")):
        if is_up(layout):
            return False
        await _start(layout, [name for name in PARTS if name in parts], say)
    return True


async def down(layout: Layout, say: Say = quiet) -> bool:
    """Stop the platform and return once nothing of it runs; False if nothing did. Data stays."""
    board = Board.read(layout.processes)
    was_up = bool(board.leftovers()) or is_up(layout)
    if board.supervisor is not None:
        say("supervisor", "stopping")
        await _end(board.supervisor, signal.SIGTERM, SUPERVISOR_STOP_SECONDS)
        say("supervisor", "stopped")
    await _sweep(layout, say)
    return was_up


async def _start(layout: Layout, parts: Sequence[str], say: Say) -> None:
    if "kafka" in parts:
        find_java()
    await _sweep(layout)
    require_free((name, layout.ports[name]) for name in parts)
    await asyncio.to_thread(_prepare, layout, parts, say)
    try:
        await _wait_healthy(layout, _detach(layout, parts), parts, say)
    except BaseException:
        await down(layout)
        raise


def is_up(layout: Layout) -> bool:
    """Whether a supervisor runs for *layout*."""
    supervisor = Board.read(layout.processes).supervisor
    return supervisor is not None and supervisor.alive


def status(layout: Layout) -> list[PartStatus]:
    """Every part of the platform as it is now."""
    board = Board.read(layout.processes)
    supervised = is_up(layout)
    return [_status(layout, board, name, supervised) for name in PARTS]


def _status(layout: Layout, board: Board, name: str, supervised: bool) -> PartStatus:
    record = board.parts.get(name)
    process = record.process if record and record.process and record.process.alive else None
    state = "stopped" if process is None else "unsupervised"
    return PartStatus(
        name=name,
        state=record.state if record and supervised else state,
        pid=process.pid if process else None,
        port=layout.ports[name],
        restarts=record.restarts if record else 0,
        memory_bytes=process.memory if process else 0,
        log=layout.log(name),
    )


def _prepare(layout: Layout, parts: Sequence[str], say: Say) -> None:
    """Do what takes long the first time in the foreground, where its progress is seen."""
    if "kafka" in parts:
        ensure_jars(layout.cache, say)
    if not set(SERVICES).isdisjoint(parts):
        ensure_encoder(layout, say)
    issue(layout)


def _detach(layout: Layout, parts: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own: it outlives this process and its terminal."""
    log = layout.log("supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "plumbline_local.daemon", layout.dumps(), *parts],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            start_new_session=True,
        )
    Board(layout.processes, ProcessId.of(supervisor.pid)).write()
    return supervisor


async def _wait_healthy(layout: Layout, supervisor: subprocess.Popen[bytes], parts: Sequence[str], say: Say) -> None:
    seen: dict[str, str] = {}
    while True:
        board = Board.read(layout.processes)
        for name, record in board.parts.items():
            if seen.get(name) != record.state:
                seen[name] = record.state
                say(name, record.state)
        if board.error:
            raise PartFailed(board.error)
        if all(seen.get(name) == "healthy" for name in parts):
            return
        if supervisor.poll() is not None:
            raise LocalError(f"the supervisor stopped at its start: see {layout.log('supervisor')}")
        await asyncio.sleep(POLL_SECONDS)


async def _sweep(layout: Layout, say: Say = quiet) -> None:
    """End the parts that a killed supervisor left behind, those that need others first."""
    board = Board.read(layout.processes)
    for name in reversed(PARTS):
        process = board.parts[name].process if name in board.parts else None
        if process is not None and process.alive:
            say(name, "stopping")
            left = part(layout, name, {}, quiet)
            await _end(process, left.stop_signal, left.stop_seconds)
            say(name, "stopped")


async def _end(process: ProcessId, number: signal.Signals, seconds: float) -> None:
    """Ask *process* to stop, and kill it if it takes longer than *seconds*."""
    process.send(number)
    try:
        async with asyncio.timeout(seconds):
            await _gone(process)
    except TimeoutError:
        process.send(signal.SIGKILL)
        await _gone(process)


async def _gone(process: ProcessId) -> None:
    while process.alive:  # noqa: ASYNC110  # a process that is not our child announces its end to nobody
        await asyncio.sleep(POLL_SECONDS)
