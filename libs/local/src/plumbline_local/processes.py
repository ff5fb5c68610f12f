"""Processes by pid and start time, so that a recycled pid is never mistaken for one of ours."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from plumbline_kit.addresses import HOST
from plumbline_local.errors import PortTaken
from plumbline_local.parts import State


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that was seen running: its pid means something only together with its start."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process that has *pid* now, if there is one."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs. A zombie does not."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 0.1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def memory(self) -> int:
        """Resident bytes of the process and its descendants; 0 once it is gone."""
        try:
            process = psutil.Process(self.pid)
            return sum(_resident(each) for each in (process, *process.children(recursive=True)))
        except psutil.NoSuchProcess:
            return 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to exactly this process; nothing happens once it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass(slots=True)
class Record:
    """What is known of one part's process; the supervisor's file holds one for each."""

    state: State = "waiting"
    process: ProcessId | None = None
    restarts: int = 0


@dataclass(slots=True)
class Board:
    """The file in which a supervisor records itself and its parts, for `status`, `down` and the next `up`."""

    file: Path
    supervisor: ProcessId | None = None
    error: str = ""
    parts: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "Board":
        """What the file says; an empty board where there is none."""
        if not file.exists():
            return cls(file)
        content = json.loads(file.read_text(encoding="utf-8"))
        parts = {name: _record(**each) for name, each in content["parts"].items()}
        return cls(file, _process(content["supervisor"]), content["error"], parts)

    def write(self) -> None:
        """Replace the file; a reader sees the old board or the new one."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(self)
        del content["file"]
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self.file)

    def leftovers(self) -> list[ProcessId]:
        """Parts that still run, the one that was started last first."""
        started = [each.process for each in self.parts.values() if each.process and each.process.alive]
        return sorted(started, key=lambda process: process.started, reverse=True)


def _process(content: dict[str, float] | None) -> ProcessId | None:
    return ProcessId(int(content["pid"]), content["started"]) if content else None


def _record(state: State, process: dict[str, float] | None, restarts: int) -> Record:
    return Record(state, _process(process), restarts)


def require_free(ports: Iterable[tuple[str, int]]) -> None:
    """Raise `PortTaken` for the first of *ports* (part, port) that somebody listens on."""
    for part, port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise PortTaken(
                    f"port {port}, where {part} listens, is taken{_holder(port)}: "
                    f"stop that process, or stop a platform that was left running with `plumbline down`"
                ) from error


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by process {connection.pid} ({_name(connection.pid)})"
    return ""


def _name(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "name unknown"
