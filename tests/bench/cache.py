"""How fast answers come from memory: hits and misses through the gateway among ever more entries, beside GPTCache.

The first thousand entries come as they always come, as facts in Kafka, each resting on four passages of real
documents, and what that takes is a figure. The others, of the same kind, are put into the cache's folder while it
is down (`tests.bench.cache_fill`). Of the questions that are asked in other words each is asked once, so that nobody
has encoded it before. GPTCache runs in a process of its own without any server, has the same questions and is asked
the same. Nothing is audited: the stored answers are made up, so the fresh ones would differ and switch the tier for
near questions off.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np
import psutil
from rich.console import Console

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release, load_release
from plumbline_kit.testing import eventually
from plumbline_models import Encoder
from tests.bench import figures, stored
from tests.bench.cache_fill import CacheFolder
from tests.bench.echo import METHOD
from tests.bench.figures import Figure
from tests.bench.peers.run import OFFLINE, NotRun, build, build_model
from tests.bench.platform import Bench, running
from tests.bench.settings import BenchSettings
from tests.bench.stored import Evaluated
from tests.bench.worker import Worker, working

SIZES: Final = (1_000, 10_000, 100_000)
ASKED: Final = 900
"""Stored questions that are asked about, from the first on: they are there at every size."""
ALONE: Final = 200
IN_A_ROW: Final = 20
"""To one target, before the next has its turn: what another has put out of the processor's caches comes back first."""
TOGETHER: Final = 640
IN_FLIGHT: Final = 32
PEER_COSINE: Final = 0.95
"""At which the peer answers: it looks at nothing else."""
SLOW: Final = 4
"""What takes a generation or is the peer's is asked so many times less with many in flight."""
ADMITTED: Final = 1_000
"""Entries that come as facts."""
AT_ONCE: Final = 500
FILL_SECONDS: Final = 300.0
READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 1.0
IDLE: Final = 0.1
"""Share of a core."""
PARTS: Final = ("kafka", "retrieval", "generation", "cache", "gateway")
SERVICES: Final = ("gateway", "cache", "retrieval")
ECHO, EXACT, SEMANTIC, MISS, PEER = "two-hop echo", "exact hit", "semantic hit", "miss", "GPTCache: "
EXACT_GOAL_MS, SEMANTIC_GOAL_MS = 4.0, 8.0

Taken = tuple[float, bool]
"""Seconds, and whether it was answered the way that is measured."""


@dataclass
class Measured:
    """What came of one target."""

    taken: list[Taken]
    seconds: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """By service; empty where none is asked."""

    @property
    def answered(self) -> list[float]:
        """Seconds of those that count."""
        return [seconds for seconds, so in self.taken if so]


@dataclass(frozen=True)
class Target:
    """Something that is asked."""

    questions: Iterator[str]
    ask: Callable[[str], Awaitable[bool]]
    together: int = TOGETHER

    async def alone(self) -> Taken:
        """One question."""
        question, began = next(self.questions), time.perf_counter()
        answered = await self.ask(question)
        return time.perf_counter() - began, answered

    async def at_once(self) -> Measured:
        """`together` questions from IN_FLIGHT callers."""
        turns, began = iter(range(self.together)), time.perf_counter()

        async def caller() -> list[Taken]:
            return [await self.alone() for _ in turns]

        taken = await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        return Measured(list(itertools.chain(*taken)), time.perf_counter() - began)


@dataclass(frozen=True)
class PeerTarget:
    """A question to GPTCache, timed in its own process."""

    questions: Iterator[str]
    peer: Worker
    together: int = TOGETHER // SLOW

    async def alone(self) -> Taken:
        """One question."""
        seconds, answered = (await self._ask([next(self.questions)], 1))["taken"][0]
        return seconds, answered

    async def at_once(self) -> Measured:
        """`together` questions from IN_FLIGHT threads."""
        return Measured(**await self._ask(list(itertools.islice(self.questions, self.together)), IN_FLIGHT))

    async def _ask(self, questions: Sequence[str], in_flight: int) -> Any:
        return await self.peer.ask({"do": "ask", "questions": questions, "in_flight": in_flight})


async def main(sizes: Sequence[int], *, with_peer: bool) -> None:
    """Fill up to each of *sizes* and measure there."""
    console = Console(stderr=True)
    questions = stored.load(BenchSettings.from_env().data, max(sizes))
    async with AsyncExitStack() as stack:
        env = {"cache": _room_for(max(sizes)), "gateway": {"AUDITS_PER_MINUTE": "0"}}
        bench = await stack.enter_async_context(running(PARTS, env))
        release = load_release(bench.layout.release_file)
        peer = await _peer(stack, release, console) if with_peer else None
        filling = Filling(bench, release, await _passages(bench), _room_for(max(sizes)), console)
        probes = Probes(questions.stored[:ASKED], questions.unstored)
        measured: dict[int, dict[str, tuple[Measured, Measured]]] = {}
        before = 0
        for size in sizes:
            console.print(f"storing {size - before:,} answers")
            new = questions.stored[before:size]
            await asyncio.gather(filling.fill(before, new), _fill_peer(peer, new, encoded=max(0, sizes[0] - before)))
            before = size
            console.print(f"measuring among {size:,}")
            measured[size] = await _measure(bench, _targets(bench, peer, probes))
    told = [figure for size in sizes for figure in _figures(size, measured[size])]
    figures.report("bench-cache", [*filling.figures, *told])


class Probes:
    """Questions to ask; those in other words and those of misses never come twice."""

    def __init__(self, asked: Sequence[str], unstored: Sequence[str]) -> None:
        self.exact = itertools.cycle(asked)
        ways = ((number, way) for way in range(stored.WAYS) for number in range(len(asked)))
        self._other_words = (stored.other_words(asked[number], number + way) for number, way in ways)
        self.misses = iter(unstored)

    def other_words(self) -> Iterator[str]:
        """The next ones."""
        return self._other_words


class Filling:
    """Stores answers."""

    def __init__(
        self,
        bench: Bench,
        release: Release,
        passages: Sequence[common_pb.Passage],
        room: Mapping[str, str],
        console: Console,
    ) -> None:
        """*room* is the environment that the cache gets when it starts again."""
        self.figures: list[Figure] = []
        """What admissions took."""
        self._bench = bench
        self._room = room
        self._facts = Evaluated(release, passages, tenant="bench")
        encoder = Encoder.load(bench.layout.encoder)
        self._folder = CacheFolder(bench.layout.data("cache"), encoder, release, self._facts, console.print)

    async def fill(self, first: int, questions: Sequence[str]) -> None:
        """Answers to *questions*, of which the first is the *first*-th of all; return once they are found."""
        admitted = questions[: max(0, ADMITTED - first)]
        if admitted:
            await self._admit(first, admitted)
        if len(admitted) < len(questions):
            supervisor = self._bench.supervisor
            await supervisor.stop(["cache"])
            await asyncio.to_thread(self._folder.fill, first + len(admitted), questions[len(admitted) :])
            await supervisor.start(["cache"], env={"cache": self._room})
        probes = itertools.cycle(questions)  # one that is never cached may be the first

        async def found() -> bool:
            answer = await self._bench.driver.ask(next(probes), pb.FRESHNESS_EVENTUAL)
            return answer.origin == pb.ANSWER_ORIGIN_CACHED

        await eventually(found, seconds=READY_SECONDS)
        await self._settled()

    async def _settled(self) -> None:
        """A start does more than answer: it hears events and looks what another release left behind."""
        cache = psutil.Process(self._bench.supervisor.pid("cache"))

        async def idle() -> bool:
            before = _cpu_s(cache)
            await asyncio.sleep(POLL_SECONDS)
            return _cpu_s(cache) - before < IDLE * POLL_SECONDS

        await eventually(idle, seconds=READY_SECONDS)

    async def _admit(self, first: int, questions: Sequence[str]) -> None:
        """By facts in Kafka."""
        cache, began = psutil.Process(self._bench.supervisor.pid("cache")), time.perf_counter()
        cpu_s = _cpu_s(cache)
        await self._publish(first, questions)

        async def heard() -> bool:
            await asyncio.sleep(POLL_SECONDS)  # counting takes the cache's time
            return await _heard_of(self._bench) >= first + len(questions)

        await eventually(heard, seconds=FILL_SECONDS)
        of = f"admission among {first + len(questions):,} entries"
        self.figures += [
            Figure(f"{of}_per_s", len(questions) / (time.perf_counter() - began)),
            Figure(f"{of}: cpu_ms of cache", (_cpu_s(cache) - cpu_s) / len(questions) * 1e3),
        ]

    async def _publish(self, first: int, questions: Sequence[str]) -> None:
        publisher = KafkaPublisher(self._bench.layout.address("kafka"), source="bench", clock=SystemClock())

        async def publish(number: int, question: str) -> None:
            fact = self._facts.fact(number, question)
            await publisher.publish(EVALUATION_COMPLETED, fact.subject.answer_id, fact)

        for start in range(0, len(questions), AT_ONCE):
            batch = enumerate(questions[start : start + AT_ONCE], start=first + start)
            await asyncio.gather(*itertools.starmap(publish, batch))
        await publisher.close()


async def _heard_of(bench: Bench) -> int:
    """How many answers the cache has decided on; 0 where it has no time to say so."""
    try:
        counts = await bench.driver.cache_stats()
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return 0
    return counts.admitted_count + counts.refused_count


async def _passages(bench: Bench) -> list[common_pb.Passage]:
    """Of documents that retrieval knows, so that it can confirm them."""
    driver = bench.driver
    numbers = range(stored.DOCUMENTS)
    await asyncio.gather(*(driver.submit_and_wait(f"lamp-{n}", f"Lamp {n}", stored.document(n)) for n in numbers))
    found = [
        await driver.retrieval.SearchPassages(
            retrieval_pb.SearchPassagesRequest(query=stored.document(number)[:100], page_size=stored.PASSAGES)
        )
        for number in numbers
    ]
    passages = [passage for response in found for passage in response.passages]
    return list({passage.ref.passage_hash: passage for passage in passages}.values())


async def _peer(stack: AsyncExitStack, release: Release, console: Console) -> Worker | None:
    try:
        model, python = build_model(), build("gptcache", console)
    except NotRun as reason:
        console.print(f"GPTCache is not measured: {reason}")
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="plumbline-peer-"))
    arguments = (f"--folder={folder}", f"--model={model.absolute()}", f"--least-cosine={PEER_COSINE}")
    return await stack.enter_async_context(
        working("tests.bench.peers.gptcache", *arguments, python=python, env={**OFFLINE, "HOME": folder})
    )


def _room_for(entries: int) -> dict[str, str]:
    """The cache's bounds, which a tenant of its own does not reach."""
    return {name: str(2 * entries) for name in ("MAX_ENTRIES", "MAX_ENTRIES_PER_TENANT")}


async def _fill_peer(peer: Worker | None, questions: Sequence[str], encoded: int) -> None:
    if peer is not None:
        await peer.ask({"do": "fill", "questions": questions, "encoded": encoded})


def _targets(bench: Bench, peer: Worker | None, probes: Probes) -> dict[str, Target | PeerTarget]:
    echo = grpc.aio.insecure_channel(bench.echo_address).unary_unary(METHOD)
    strict, eventual, bypass = pb.FRESHNESS_STRICT, pb.FRESHNESS_EVENTUAL, pb.FRESHNESS_BYPASS

    def ours(freshness: pb.Freshness, *, cached: bool = True) -> Callable[[str], Awaitable[bool]]:
        async def ask(question: str) -> bool:
            return ((await bench.driver.ask(question, freshness)).origin == pb.ANSWER_ORIGIN_CACHED) == cached

        return ask

    async def bare(question: str) -> bool:
        return bool(await echo(question.encode(), timeout=10))

    probe, same = itertools.tee(probes.other_words())
    targets: dict[str, Target | PeerTarget] = {
        ECHO: Target(probes.exact, bare),
        f"{EXACT}, eventual": Target(probes.exact, ours(eventual)),
        EXACT: Target(probes.exact, ours(strict)),
        f"{SEMANTIC}, eventual": Target(probe, ours(eventual)),
        SEMANTIC: Target(probes.other_words(), ours(strict)),
        MISS: Target(probes.misses, ours(strict, cached=False), TOGETHER // SLOW),
        "bypass": Target(probes.exact, ours(bypass, cached=False), TOGETHER // SLOW),
    }
    if peer is not None:
        targets[f"{PEER}{SEMANTIC}"] = PeerTarget(same, peer)
        targets[f"{PEER}{EXACT}"] = PeerTarget(probes.exact, peer)
    return targets


async def _measure(bench: Bench, targets: dict[str, Target | PeerTarget]) -> dict[str, tuple[Measured, Measured]]:
    """One in flight, some questions to each target in turn, so that each sees the same machine; then many."""
    processes = {name: psutil.Process(bench.supervisor.pid(name)) for name in SERVICES}
    alone: dict[str, Measured] = {name: Measured([]) for name in targets}
    for _ in range(ALONE // IN_A_ROW):
        for name, target in targets.items():
            alone[name].taken += [await target.alone() for _ in range(IN_A_ROW)]
    together: dict[str, Measured] = {}
    for name, target in targets.items():
        before = {service: _cpu_s(process) for service, process in processes.items()}
        together[name] = await target.at_once()
        if not name.startswith((ECHO, PEER)):
            together[name].cpu_s = {each: _cpu_s(process) - before[each] for each, process in processes.items()}
    return {name: (alone[name], together[name]) for name in targets}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _figures(size: int, measured: dict[str, tuple[Measured, Measured]]) -> Iterator[Figure]:
    for place, in_flight in enumerate((1, IN_FLIGHT)):
        where = f"{size:,} entries, {in_flight} in flight"
        of = {name: both[place] for name, both in measured.items()}
        for name, one in of.items():
            yield from _target(f"{where}: {name}", one, of[ECHO].answered, f"{where}: {ECHO}")
    alone = {name: both[0] for name, both in measured.items()}
    for path, goal in ((EXACT, EXACT_GOAL_MS), (SEMANTIC, SEMANTIC_GOAL_MS)):
        for name in (path, f"{path}, eventual"):
            value = _p50_ms(alone.get(name))
            met = value is not None and value <= goal
            yield Figure(f"{size:,} entries: {name}_p50_ms, the goal", value, goal=f"<= {goal:g}", met=met)
    ours, theirs = _p50_ms(alone[SEMANTIC]), _p50_ms(alone.get(f"{PEER}{SEMANTIC}"))
    faster = theirs / ours if ours and theirs else None
    yield figures.at_least(f"{size:,} entries: GPTCache's semantic hit, times ours", faster, 1.0)


def _target(name: str, one: Measured, echo: Sequence[float], of: str) -> Iterator[Figure]:
    if name == of:
        yield from figures.timings(name, one.answered)
        return
    yield Figure(f"{name}: answered so", len(one.answered) / len(one.taken))
    if one.answered:
        yield from figures.timings(name, one.answered, echo, of)
    if one.seconds:
        yield Figure(f"{name}_per_s", len(one.taken) / one.seconds)
    for service, seconds in one.cpu_s.items():
        yield Figure(f"{name}: cpu_ms of {service}", seconds / len(one.taken) * 1e3)


def _p50_ms(one: Measured | None) -> float | None:
    return float(np.percentile(one.answered, 50)) * 1e3 if one and one.answered else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="entries, ascending")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave GPTCache out")
    return parser.parse_args()


if __name__ == "__main__":
    options = _options()
    asyncio.run(main(options.sizes, with_peer=options.peer))
