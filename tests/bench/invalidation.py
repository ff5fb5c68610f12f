"""How long a cached answer can still be had after a new version of its source was accepted, under load.

Documents change 20 times a second while 50 questions a second are asked, both whether or not those before have
ended; before that a quarter and a half of this load, for a machine that the whole of it fills: all services, Kafka,
Postgres and whoever asks share it, so the processor time that they took is among the figures, and what others on the
machine took meanwhile. Of every change whose question has a cached answer the time is measured from the acknowledged
submission until the cache does not give that answer any more, by asking the cache itself again and again. No answer
that was seen to be gone may be served afterwards.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import grpc
import psutil
from rich.console import Console

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline_kit.release import load_release
from plumbline_kit.testing import eventually
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.platform import running
from tests.driver import Driver

LOADS: Final = (0.25, 0.5, 1.0)
"""Shares of the load below, one after the other."""
CHANGES_A_SECOND: Final = 20.0
QUESTIONS_A_SECOND: Final = 50.0
SECONDS: Final = 30.0
"""For each."""
PRODUCTS: Final = 400
ASKED: Final = 100
"""One document in four is asked about: every 2 seconds, and it changes every 20, so most of these are cached then."""
STRIDE: Final = 161
"""From a changed product to the next, so that one in four is among those asked about all the time."""
FILLERS: Final = 8
STEP_SECONDS: Final = 0.002
PATIENCE_SECONDS: Final = 30.0
GOAL_P99_MS: Final = 250.0

_PRICE: Final = re.compile(r"costs (\d+) euros")


@dataclass
class Run:
    """One run."""

    driver: Driver
    release: ReleaseRef
    prices: dict[int, int] = field(default_factory=dict)
    """The newest that was accepted, by product."""
    gone: set[str] = field(default_factory=set)
    """Answers that were seen to have left the cache after their source had changed."""
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    """Changes that were not accepted in time."""
    uncached: int = 0
    """Changes whose question had no cached answer just before."""
    never: int = 0
    """Answers that stayed for PATIENCE_SECONDS."""
    asked: int = 0
    cached: int = 0
    unanswered: int = 0
    submits: list[float] = field(default_factory=list)
    """Seconds that each accepted change took to be accepted."""
    cores: float = 0.0
    """Processor time of all processes of the platform and of the asking one, by time."""
    others_cores: float = 0.0
    """The same of all else that runs on the machine: where it is not near 0, the lag is that of a shared machine."""
    back: int = 0
    """Served after they were seen to be gone."""
    between: int = 0
    """Served with an older price than the one that had been accepted when the question was asked."""

    async def submit(self, product: int) -> None:
        """A new price, accepted when this returns."""
        price = self.prices.get(product, 100 + product) + 1
        await self.driver.submit(f"product-{product}", f"Product {product}", _text(product, price))
        self.prices[product] = price

    async def change(self, number: int) -> None:
        """Change a product's price and wait until its cached answer is gone."""
        product = number * STRIDE % PRODUCTS
        before = await self._held(product) if product < ASKED else None
        sent = time.perf_counter()
        try:
            await self.submit(product)
        except grpc.aio.AioRpcError:
            self.refused += 1
            return
        accepted = time.perf_counter()
        self.submits.append(accepted - sent)
        if before is None:
            self.uncached += product < ASKED
            return
        while await self._held(product) == before:
            if time.perf_counter() - accepted > PATIENCE_SECONDS:
                self.never += 1
                return
            await asyncio.sleep(STEP_SECONDS)
        self.seconds.append(time.perf_counter() - accepted)
        self.gone.add(before)

    async def ask(self, number: int) -> None:
        """Ask about a product and compare with what was known when the question left."""
        product = number % ASKED
        gone, price = set(self.gone), self.prices[product]
        try:
            answer = await self.driver.ask(_question(product), gateway_pb.FRESHNESS_EVENTUAL)
        except grpc.aio.AioRpcError:
            self.unanswered += 1
            return
        self.asked += 1
        if answer.origin != gateway_pb.ANSWER_ORIGIN_CACHED:
            return
        self.cached += 1
        self.back += answer.cached_answer_id in gone
        found = _PRICE.search(answer.answer.text)
        self.between += found is not None and int(found[1]) < price

    async def _held(self, product: int) -> str | None:
        """The answer that the cache gives, or would if a search finds what it rests on and nothing else."""
        request = cache_pb.LookupAnswerRequest(question=_question(product), release=self.release)
        reply = await self.driver.cache.LookupAnswer(request, timeout=10)
        revalidating = reply.miss_reason == cache_pb.MISS_REASON_REVALIDATING
        return (reply.withheld.answer_id if revalidating else reply.hit.answer_id) or None


async def main(seconds: float) -> None:
    """Run the benchmark on its own platform in a temporary folder, with a fake model that answers at once."""
    async with running(["kafka", "postgres", "retrieval", "generation", "cache", "evaluation", "gateway"]) as bench:
        release = load_release(bench.layout.release_file)
        first = Run(bench.driver, ReleaseRef(application_id=release.application_id, release_id=release.id))
        await _fill(first)
        found: list[Figure] = []
        for load in LOADS:
            run = Run(bench.driver, first.release, first.prices)
            await _load(run, load, seconds)
            found += _figures(run, load)
        figures.report("bench-invalidation", found)


async def _load(run: Run, load: float, seconds: float) -> None:
    """Ask about everything once, so that it is cached, then change and ask."""
    await _each(run.ask, ASKED)
    run.asked = run.cached = run.unanswered = run.between = 0
    Console(stderr=True).print(f"{seconds:g} seconds of {load:g} of the load")
    began, own, machine = time.perf_counter(), _own_seconds(), _machine_seconds()
    async with asyncio.TaskGroup() as group:
        group.create_task(_at_rate(run.change, load * CHANGES_A_SECOND, seconds))
        group.create_task(_at_rate(run.ask, load * QUESTIONS_A_SECOND, seconds))
    took = time.perf_counter() - began
    run.cores = (_own_seconds() - own) / took
    run.others_cores = max(0.0, (_machine_seconds() - machine) / took - run.cores)


def _machine_seconds() -> float:
    """Processor time of everything."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice  # guests are in the rest already


def _own_seconds() -> float:
    """Of this process and all that descend from it."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def _fill(run: Run) -> None:
    """Every product once, and an answer about each."""
    await _each(run.submit, PRODUCTS)
    await run.driver.wait(f"product-{PRODUCTS - 1}", 0)
    await eventually(run.driver.index_is_whole, seconds=PATIENCE_SECONDS)
    await _each(run.ask, ASKED)

    async def admitted() -> bool:
        return (await run.driver.cache_stats()).entry_count > ASKED * 0.8

    await eventually(admitted, seconds=60)


async def _each(do: Callable[[int], Coroutine[None, None, None]], count: int) -> None:
    products = iter(range(count))

    async def some() -> None:
        for product in products:
            await do(product)

    await asyncio.gather(*(some() for _ in range(FILLERS)))


async def _at_rate(do: Callable[[int], Coroutine[None, None, None]], rate: float, seconds: float) -> None:
    """Begin each at its time."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(do(number))


def _figures(run: Run, load: float) -> Iterator[Figure]:
    """The goal of the lag is that of the whole load."""
    of = f"{load * CHANGES_A_SECOND:g} changes, {load * QUESTIONS_A_SECOND:g} questions/s: "
    p50, p99 = figures.timings(f"{of}invalidation", run.seconds)
    assert p99.value is not None
    yield p50
    yield p99 if load < 1 else replace(p99, goal=f"< {GOAL_P99_MS:g}", met=p99.value < GOAL_P99_MS)
    yield Figure(f"{of}slowest_ms", max(run.seconds) * 1e3)
    yield from figures.timings(f"{of}acceptance", run.submits)
    yield Figure(f"{of}cores_used", run.cores)
    yield Figure(f"{of}cores_used_by_others", run.others_cores)
    yield Figure(f"{of}changes_measured", len(run.seconds))
    yield Figure(f"{of}changes_of_uncached", run.uncached)
    yield _none(f"{of}changes_refused", run.refused)
    yield _none(f"{of}never_gone", run.never)
    yield _none(f"{of}served_after_it_was_gone", run.back)
    yield Figure(f"{of}served_between_acceptance_and_change", run.between)
    yield Figure(f"{of}questions_answered", run.asked)
    yield _none(f"{of}questions_unanswered", run.unanswered)
    yield Figure(f"{of}answered_from_the_cache", run.cached / max(1, run.asked))


def _none(name: str, count: int) -> Figure:
    return Figure(name, count, goal="= 0", met=count == 0)


def _text(product: int, price: int) -> str:
    return f"The product {product} lamp costs {price} euros. It is {20 + product} centimetres tall and comes in grey."


def _question(product: int) -> str:
    return f"How much does the product {product} lamp cost?"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    asyncio.run(main(arguments.parse_args().seconds))
