"""How every peer is measured. Runs in the peer's environment, so it knows the standard library and numpy only."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ENCODED_PASSAGES = 256
PHASE_SECONDS = 20.0
"""A phase of the speed measurement asks no further question after this, so that a slow peer ends too."""

Question = tuple[str, list[int]]
"""A text, and the numbers of the passages that answer it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a peer is given."""

    model: str
    """The folder of the encoder."""
    passages: list[str]
    vectors: NDArray[np.float32]
    """One row a passage: filling a store is measured without encoding."""
    questions: Mapping[str, Sequence[Question]]
    """By set, for quality."""
    timed: list[str]
    """Questions for speed."""
    in_flight: int
    count: int
    """Passages that a search asks for."""

    def save(self, folder: Path) -> None:
        """Write it for `load`."""
        np.save(folder / "vectors.npy", self.vectors)
        rest = {name: getattr(self, name) for name in ("model", "passages", "questions", "timed", "in_flight", "count")}
        (folder / "job.json").write_text(json.dumps(rest), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read what `save` wrote."""
        rest = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return cls(vectors=np.load(folder / "vectors.npy"), **rest)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a peer searches."""

    alone_s: list[float]
    """Seconds of each search, one at a time."""
    searches_per_s: float
    """With `Job.in_flight` at once."""
    cpu_ms_per_search: float
    """Of all processes of the peer meanwhile."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out. A peer that only encodes leaves the rest empty."""

    encoded_per_cpu_s: float
    filled_per_cpu_s: float | None = None
    speed: Speed | None = None
    resident_mib: float | None = None
    ranks: Mapping[str, list[int]] = field(default_factory=dict)
    """By set, the place of the first right passage for each question, from 1; 0 where none was found."""

    def save(self, folder: Path) -> None:
        """Write it for `load`."""
        (folder / "measured.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Measured":
        """Read what `save` wrote."""
        content = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
        speed = content.pop("speed")
        return cls(speed=Speed(**speed) if speed else None, **content)


class Peer(Protocol):
    """A peer at work."""

    def encode(self, texts: Sequence[str]) -> object:
        """Vectors of *texts* on the way that its own indexing takes."""
        ...

    def fill(self, passages: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store all of them with the given vectors."""
        ...

    def search(self, text: str, count: int) -> list[int]:
        """Numbers of the best passages, best first. Called from many threads."""
        ...

    def processes(self) -> list[int]:
        """Ids of every process that works for it, this one too."""
        ...


def measure(peer: Peer, job: Job) -> Measured:
    """All of it; quality before speed, so that nothing is cold when it is timed."""
    encoded = encoding_rate(peer.encode, job.passages)
    before = _cpu_seconds(peer.processes())
    peer.fill(job.passages, job.vectors)
    peer.search(job.timed[0], job.count)  # what a store puts off until the first search belongs to filling it
    filled = len(job.passages) / (_cpu_seconds(peer.processes()) - before)
    ranks = {name: _ranks(peer, job, questions) for name, questions in job.questions.items()}
    return Measured(encoded, filled, _speed(peer, job), _resident_mib(peer.processes()), ranks)


def encoding_rate(encode: Callable[[Sequence[str]], object], passages: Sequence[str]) -> float:
    """Passages a CPU second of this process over an even sample."""
    encode(passages[:1])
    sample = passages[:: len(passages) // ENCODED_PASSAGES][:ENCODED_PASSAGES]
    before = time.process_time()
    encode(sample)
    return len(sample) / (time.process_time() - before)


def _ranks(peer: Peer, job: Job, questions: Sequence[Question]) -> list[int]:
    with ThreadPoolExecutor(job.in_flight) as threads:
        found = threads.map(lambda question: peer.search(question[0], job.count), questions)
        return [_rank(numbers, right) for numbers, (_, right) in zip(found, questions, strict=True)]


def _rank(numbers: Sequence[int], right: Sequence[int]) -> int:
    return next((rank for rank, number in enumerate(numbers, start=1) if number in right), 0)


def _speed(peer: Peer, job: Job) -> Speed:
    alone = _alone(peer, job)
    before, started = _cpu_seconds(peer.processes()), time.perf_counter()
    asked = _together(peer, job)
    seconds = time.perf_counter() - started
    return Speed(alone, asked / seconds, (_cpu_seconds(peer.processes()) - before) / asked * 1e3)


def _alone(peer: Peer, job: Job) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + PHASE_SECONDS
    for text in job.timed:
        started = time.perf_counter()
        if started > end:
            break
        peer.search(text, job.count)
        times.append(time.perf_counter() - started)
    return times


def _together(peer: Peer, job: Job) -> int:
    """How many questions were asked."""
    left = iter(job.timed)
    end = time.perf_counter() + PHASE_SECONDS

    def caller(_: int) -> int:
        asked = 0
        for text in left:
            peer.search(text, job.count)
            asked += 1
            if time.perf_counter() > end:
                break
        return asked

    with ThreadPoolExecutor(job.in_flight) as threads:
        return sum(threads.map(caller, range(job.in_flight)))


def _cpu_seconds(processes: Sequence[int]) -> float:
    return sum(_ticks(process) for process in processes) / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> int:
    """In user and in kernel mode: fields 14 and 15 of proc(5); the name before them may hold spaces."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_mib(processes: Sequence[int]) -> float:
    pages = [int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) for process in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
