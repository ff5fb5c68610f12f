"""What the generation service adds to the bare endpoint behind it, beside the LiteLLM proxy in the same run.

A fake model answers with three sentences of 33 tokens at three speeds; 1, 8 and 32 streams ask it bare, through the
service (as the gateway asks: four passages never seen before, guards on, answers recorded in Kafka, spans exported) and
through the proxy, in turn. The local release withholds what is unsupported, so that what it lets out first is a
sentence, which is set against the endpoint's first sentence. "marking" is the same service with a release that only
marks such sentences, and so has a first token; "passages seen before" asks that one the same fifty questions again.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress
from scipy import stats

from plumbline_kit.addresses import HOST
from plumbline_kit.release import load_release
from plumbline_local.catalogue import part
from plumbline_local.issuer import mint_token
from plumbline_local.layout import Layout, free_ports
from plumbline_local.parts import quiet
from plumbline_local.probes import serving
from plumbline_local.supervisor import Supervisor
from tests.bench import figures
from tests.bench.figures import RESAMPLES, Figure
from tests.bench.peers import litellm
from tests.bench.peers.run import NotRun
from tests.bench.platform import process
from tests.bench.worker import Worker, working

SPEEDS: Final[dict[str, float | None]] = {"no delay": None, "500 tokens/s": 500.0, "50 tokens/s": 50.0}
STREAMS: Final = (1, 8, 32)
WARM_UP_SECONDS: Final = 1.0
ADDED_GOAL_MS: Final = 6.0
RATE_GOAL: Final = 5.0
BARE, OURS, MARKING, KNOWN, PROXY = "bare", "service", "marking", "known", "proxy"
LABELS: Final = {
    BARE: "endpoint",
    OURS: "service",
    MARKING: "service, marking",
    KNOWN: "service, marking, passages seen before",
    PROXY: "LiteLLM",
}
FIRST: Final = {OURS: "sentence", MARKING: "token", KNOWN: "token", PROXY: "token"}
"""What is the first that a target lets out."""
UNARY: Final = " unary"

Key = tuple[str, str, int]
"""Target, speed, streams."""


@dataclass
class Measured:
    """What came of all rounds of one measurement."""

    first_s: list[float] = field(default_factory=list)
    sentence_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    tokens: int = 0
    wrong: int = 0
    seconds: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By process."""

    def add(self, load: Mapping[str, Any], cpu_s: Mapping[str, float]) -> None:
        """Another round."""
        for name in ("first_s", "sentence_s", "total_s", "tokens", "wrong", "seconds"):
            setattr(self, name, getattr(self, name) + load[name])
        for name, seconds in {**cpu_s, "load generator": load["cpu_s"]}.items():
            self.cpu_s[name] += seconds

    @property
    def answers(self) -> int:
        """How many there were."""
        return len(self.total_s)

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def cpu_ms(self, name: str) -> float:
        """Of a process, for one answer."""
        return self.cpu_s[name] / self.answers * 1e3

    def own_cpu_ms(self, target: str) -> float:
        """Of the process that is the *target*, for one answer."""
        return self.cpu_ms(MARKING if target == KNOWN else target.removesuffix(UNARY))

    @property
    def token_s(self) -> float:
        """From one token to the next, in the middle of all answers."""
        spread = np.asarray(self.total_s) - np.asarray(self.first_s)
        return float(np.median(spread)) / max(1.0, self.tokens / self.answers - 1)


@dataclass
class Bench:
    """Everything that runs."""

    endpoint: Worker
    load: Worker
    processes: dict[str, psutil.Process]

    async def measure(self, key: Key, seconds: float) -> tuple[Mapping[str, Any], dict[str, float]]:
        """What the load generator saw, and what the processes spent, in seconds of the processor."""
        target, speed, streams = key
        await self.endpoint.ask(SPEEDS[speed])
        before = self._spent()
        load = await self.load.ask({"target": target, "streams": streams, "seconds": seconds})
        return load, {name: spent - before[name] for name, spent in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        return {name: _cpu_s(each) for name, each in self.processes.items()}


async def main(options: argparse.Namespace) -> None:
    """Run the benchmark on its own platform in a temporary folder."""
    console = Console(stderr=True)
    async with running(console, with_proxy=options.peers) as bench:
        keys = _keys(bench, options.streams)
        measured = await _measure(bench, keys, options.rounds, options.seconds, console)
    figures.report("bench-generation", list(_figures(measured)))


@asynccontextmanager
async def running(console: Console, *, with_proxy: bool) -> AsyncIterator[Bench]:
    """Kafka, the service, the endpoint behind it, the proxy unless it cannot be had, and the load generator."""
    ports = free_ports("sink", "proxy", MARKING)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plumbline-bench-")))
        layout = Layout.temporary(folder)
        endpoint = await stack.enter_async_context(working("tests.bench.endpoint"))
        urls = [f"{HOST}:{await endpoint.ask(None)}"]
        supervisor = await stack.enter_async_context(Supervisor(layout))
        marking = _marking_release(layout)
        await _start_services(supervisor, urls[0], ports, marking, console)
        names = {"endpoint": None, OURS: "generation", MARKING: MARKING, "kafka": "kafka"}
        pids = {name: supervisor.pid(of) if of else endpoint.pid for name, of in names.items()}
        if with_proxy:
            pids |= await _start_proxy(stack, folder, ports["proxy"], urls, layout, console)
        load = await stack.enter_async_context(
            working("tests.bench.load", *_load_arguments(layout, marking, ports[MARKING]), *urls)
        )
        yield Bench(endpoint, load, {name: psutil.Process(pid) for name, pid in pids.items()})


async def _start_services(
    supervisor: Supervisor, endpoint: str, ports: Mapping[str, int], marking: Path, console: Console
) -> None:
    console.print("starting Kafka and the service")
    environment = {
        "LLM_BASE_URL": f"http://{endpoint}/v1",
        "CONCURRENT_COMPLETIONS": str(max(STREAMS)),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{HOST}:{ports['sink']}",
    }
    await supervisor.run([process("sink", ports["sink"], "tests.bench.sink")])
    await supervisor.start(["kafka", "generation"], env={"generation": environment})
    port = ports[MARKING]
    environment |= {"RELEASE_FILE": str(marking), "PORT": str(port)}
    other = part(supervisor.layout, "generation", environment, quiet)
    await supervisor.run([replace(other, name=MARKING, port=port, healthy=partial(serving, port))])


def _marking_release(layout: Layout) -> Path:
    """The local release, but for what becomes of a sentence that no passage supports."""
    local = layout.release_file.read_text(encoding="utf-8")
    marking = layout.state / "marking.toml"
    shutil.copytree(layout.release_file.parent / "prompts", layout.state / "prompts")
    marking.write_text(local.replace('unsupported = "replace"', 'unsupported = "mark"'), encoding="utf-8")
    return marking


async def _start_proxy(
    stack: AsyncExitStack, folder: Path, port: int, urls: list[str], layout: Layout, console: Console
) -> dict[str, int]:
    console.print("starting LiteLLM")
    model = load_release(layout.release_file).model.name
    try:
        pid = await stack.enter_async_context(litellm.serving(folder, port, urls[0], model, console))
    except NotRun as reason:
        console.print(f"LiteLLM is not measured: {reason}")
        return {}
    urls.append(f"{HOST}:{port}")
    return {"proxy": pid}


def _load_arguments(layout: Layout, marking: Path, port: int) -> list[str]:
    token = mint_token(layout, tenant="bench")
    given = {"encoder": layout.encoder, "token": token, "key": litellm.KEY}
    services = [(layout.release_file, layout.address("generation")), (marking, f"{HOST}:{port}")]
    one = [f"--{name}={value}" for name, value in given.items()]
    return one + [text for release, address in services for text in (f"--release={release}", f"--service={address}")]


def _keys(bench: Bench, streams: Sequence[int]) -> list[Key]:
    """In the order of measuring: the targets in turn."""
    targets = [BARE, OURS, MARKING, *([PROXY] if PROXY in bench.processes else [])]
    unary = [f"{target}{UNARY}" for target in targets if target in (BARE, PROXY)]
    return [
        (target, speed, count)
        for speed, rate in SPEEDS.items()
        for count in streams
        for target in (*targets, *((KNOWN, *unary) if rate is None else ()))
    ]


async def _measure(
    bench: Bench, keys: Sequence[Key], rounds: int, seconds: float, console: Console
) -> dict[Key, Measured]:
    measured: dict[Key, Measured] = defaultdict(Measured)
    for target in dict.fromkeys(target for target, _, _ in keys):
        await bench.measure((target, "no delay", max(STREAMS)), WARM_UP_SECONDS)
    with Progress(console=console) as progress:
        task = progress.add_task("measure", total=rounds * len(keys))
        for _ in range(rounds):
            for key in keys:
                progress.update(task, description=f"{key[1]}, {key[2]} at once: {_label(key[0])}")
                measured[key].add(*await bench.measure(key, seconds))
                progress.advance(task)
    return measured


def _cpu_s(root: psutil.Process) -> float:
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


def _figures(measured: Mapping[Key, Measured]) -> Iterator[Figure]:
    """By speed and streams: the endpoint alone, what each adds to it, what it takes."""
    yield from _goals(measured)
    yield Figure("answers that were not what the model said", sum(one.wrong for one in measured.values()))
    yield from _costs(measured)
    for target, speed, streams in measured:
        if target.startswith(BARE):
            yield from _cell(measured, speed, streams, target.removeprefix(BARE))


def _costs(measured: Mapping[Key, Measured]) -> Iterator[Figure]:
    """What the rest of the machine spent for one answer, so that nobody takes it for the targets' own."""
    for target in dict.fromkeys(target for target, _, _ in measured):
        ran = [one for (asked, _, _), one in measured.items() if asked == target]
        for name in ("load generator", "endpoint", *(("kafka",) if target in (OURS, MARKING, KNOWN) else ())):
            spent = sum(one.cpu_s[name] for one in ran) / sum(one.answers for one in ran)
            yield Figure(f"{_label(target)}: {name}'s cpu_ms_per_answer", spent * 1e3)


def _goals(measured: Mapping[Key, Measured]) -> Iterator[Figure]:
    speed, alone = "no delay", min(streams for _, _, streams in measured)
    for target, measure in ((MARKING, "token"), (KNOWN, "token"), (OURS, "sentence"), (OURS, "total")):
        added = _added(
            f"{LABELS[target]}: added_{measure}_p50_ms, {speed}, {alone} at once",
            measured,
            (target, speed, alone),
            measure,
        )
        met = None if added.value is None else added.value < ADDED_GOAL_MS
        yield Figure(added.name, added.value, added.low, added.high, goal=f"< {ADDED_GOAL_MS:g}", met=met)
    ours = max(one.per_s for (target, _, _), one in measured.items() if target == OURS)
    for kind, name in ((UNARY, "whole answers"), ("", "streams")):
        rates = [one.per_s for (target, _, _), one in measured.items() if target == f"{PROXY}{kind}"]
        ratio = ours / max(rates) if rates else None
        yield figures.at_least(f"service: answers_per_s, times LiteLLM's {name}", ratio, RATE_GOAL)
        yield Figure(f"service: answers_per_cpu_s, times LiteLLM's {name}", _per_cpu(measured, f"{PROXY}{kind}"))


def _per_cpu(measured: Mapping[Key, Measured], other: str) -> float | None:
    """How many times as many answers the service gives for a second of its processor as *other* does of its own."""
    spent = {
        target: [one.own_cpu_ms(target) for (asked, _, _), one in measured.items() if asked == target]
        for target in (OURS, other)
    }
    return min(spent[other]) / min(spent[OURS]) if all(spent.values()) else None


def _cell(measured: Mapping[Key, Measured], speed: str, streams: int, kind: str) -> Iterator[Figure]:
    place, bare = f"{speed}, {streams} at once", measured[f"{BARE}{kind}", speed, streams]
    yield Figure(f"{place}: {_label(BARE + kind)}: total_p50_ms", float(np.median(bare.total_s)) * 1e3)
    yield Figure(f"{place}: {_label(BARE + kind)}: answers_per_s", bare.per_s)
    for key in ((f"{target}{kind}", speed, streams) for target in (OURS, MARKING, KNOWN, PROXY)):
        if key in measured:
            yield from _target(f"{place}: {_label(key[0])}", measured, key, bare)


def _target(name: str, measured: Mapping[Key, Measured], key: Key, bare: Measured) -> Iterator[Figure]:
    one = measured[key]
    if not key[0].endswith(UNARY):
        first = FIRST[key[0]]
        yield _added(f"{name}: added_first_{first}_p50_ms", measured, key, first)
        if first == "token":
            yield Figure(f"{name}: added_us_per_token", (one.token_s - bare.token_s) * 1e6)
        yield Figure(f"{name}: tokens_per_s", one.tokens / one.seconds)
    yield _added(f"{name}: added_total_p50_ms", measured, key, "total")
    yield Figure(f"{name}: answers_per_s", one.per_s, baseline=_label(BARE), ratio=one.per_s / bare.per_s)
    yield Figure(f"{name}: cpu_ms_per_answer", one.own_cpu_ms(key[0]))


def _label(target: str) -> str:
    return LABELS[target.removesuffix(UNARY)] + (", whole answers" if target.endswith(UNARY) else "")


def _added(name: str, measured: Mapping[Key, Measured], key: Key, measure: str) -> Figure:
    """By how much the median is above the bare endpoint's, with its bootstrap interval."""
    target, speed, streams = key
    kind = UNARY if target.endswith(UNARY) else ""
    bare = measured[f"{BARE}{kind}", speed, streams]
    name_of = {"token": "first_s", "sentence": "sentence_s", "total": "total_s"}[measure]
    both = [np.asarray(getattr(one, name_of)) * 1e3 for one in (measured[key], bare)]
    value = float(np.median(both[0]) - np.median(both[1]))
    if min(map(len, both)) < 2:
        return Figure(name, value)
    interval = stats.bootstrap(
        both,
        lambda one, other, axis: np.median(one, axis=axis) - np.median(other, axis=axis),
        n_resamples=RESAMPLES // 4,
        method="percentile",
        rng=0,
    ).confidence_interval
    return Figure(name, value, float(interval.low), float(interval.high))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often every target has its turn")
    parser.add_argument("--seconds", type=float, default=1.8, help="of one turn")
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS, help="at once")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave the LiteLLM proxy out")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
