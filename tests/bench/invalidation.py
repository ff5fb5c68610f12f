"""How long a cached answer can still be had after a new version of its source was accepted, under load.

Documents change 20 times a second while 50 questions a second are asked, both whether or not those before have
ended. Of every change whose question has a cached answer the time is measured from the acknowledged submission until
the cache does not give that answer any more, by asking the cache itself again and again. No answer that was seen
to be gone may be served afterwards.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

import grpc
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

CHANGES_A_SECOND: Final = 20.0
QUESTIONS_A_SECOND: Final = 50.0
SECONDS: Final = 60.0
PRODUCTS: Final = 400
ASKED: Final = 100
"""One document in four is asked about: every 2 seconds, and it changes every 20, so most of these are cached then."""
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
        product = number % PRODUCTS
        before = await self._held(product) if product < ASKED else None
        try:
            await self.submit(product)
        except grpc.aio.AioRpcError:
            self.refused += 1
            return
        accepted = time.perf_counter()
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
        run = Run(bench.driver, ReleaseRef(application_id=release.application_id, release_id=release.id))
        await _fill(run)
        Console(stderr=True).print(f"{seconds:g} seconds of load")
        async with asyncio.TaskGroup() as group:
            group.create_task(_at_rate(run.change, CHANGES_A_SECOND, seconds))
            group.create_task(_at_rate(run.ask, QUESTIONS_A_SECOND, seconds))
        figures.report("bench-invalidation", _figures(run))


async def _fill(run: Run) -> None:
    """Every product once, and an answer about each."""
    await _each(run.submit, PRODUCTS)
    await run.driver.wait(f"product-{PRODUCTS - 1}", 0)
    await eventually(run.driver.index_is_whole, seconds=PATIENCE_SECONDS)
    await _each(run.ask, ASKED)

    async def admitted() -> bool:
        return (await run.driver.cache_stats()).entry_count > ASKED * 0.8

    await eventually(admitted, seconds=60)
    run.asked = run.cached = run.unanswered = run.between = 0


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


def _figures(run: Run) -> list[Figure]:
    measured = len(run.seconds)
    lag = figures.timings("invalidation", run.seconds)
    p99 = lag[1]
    assert p99.value is not None
    return [
        lag[0],
        Figure(p99.name, p99.value, goal=f"< {GOAL_P99_MS:g}", met=p99.value < GOAL_P99_MS),
        Figure("slowest_ms", max(run.seconds) * 1e3),
        Figure("changes_measured", measured),
        Figure("changes_of_uncached", run.uncached),
        Figure("changes_refused", run.refused, goal="= 0", met=run.refused == 0),
        Figure("never_gone", run.never, goal="= 0", met=run.never == 0),
        Figure("served_after_it_was_gone", run.back, goal="= 0", met=run.back == 0),
        Figure("served_between_acceptance_and_change", run.between),
        Figure("questions_answered", run.asked),
        Figure("questions_unanswered", run.unanswered, goal="= 0", met=run.unanswered == 0),
        Figure("answered_from_the_cache", run.cached / max(1, run.asked)),
    ]


def _text(product: int, price: int) -> str:
    return f"The product {product} lamp costs {price} euros. It is {20 + product} centimetres tall and comes in grey."


def _question(product: int) -> str:
    return f"How much does the product {product} lamp cost?"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    asyncio.run(main(arguments.parse_args().seconds))
