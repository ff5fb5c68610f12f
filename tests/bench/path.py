"""What an answer costs on each path (exact hit, semantic hit, miss) beside a bare two-hop echo in the same run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc

from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline_kit.testing import eventually
from tests.bench import figures
from tests.bench.echo import METHOD
from tests.bench.platform import running
from tests.driver import Driver

ONE_AT_A_TIME = 300
AT_ONCE = 16
TOGETHER = 800
PRODUCTS = 120
PAYLOAD = b"x" * 256

Call = Callable[[int], Awaitable[bool]]
"""One request by its number; whether it was answered the way that is measured."""
Echo = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


async def main() -> None:
    """Run the benchmark on its own platform in a temporary folder, with a fake model that answers at once."""
    async with running(["kafka", "postgres", "retrieval", "generation", "cache", "evaluation", "gateway"]) as bench:
        driver = bench.driver
        await asyncio.gather(
            *(driver.submit_and_wait(f"product-{n}", f"Product {n}", _fact(n)) for n in range(PRODUCTS))
        )
        await _fill(driver)
        echo = grpc.aio.insecure_channel(bench.echo_address).unary_unary(METHOD)
        paths: dict[str, Call] = {
            "two_hop_echo": lambda _: _echo(echo),
            "exact_hit_eventual": lambda _: _ask(driver, _question(0), pb.ANSWER_ORIGIN_CACHED, pb.FRESHNESS_EVENTUAL),
            "exact_hit": lambda _: _ask(driver, _question(0), pb.ANSWER_ORIGIN_CACHED),
            "semantic_hit": lambda _: _ask(driver, _other_words(0), pb.ANSWER_ORIGIN_CACHED),
            "miss": lambda n: _ask(driver, f"{_question(n % PRODUCTS)} ({n})", pb.ANSWER_ORIGIN_GENERATED),
        }
        figures.report("bench-path", await _measure(paths))


async def _fill(driver: Driver) -> None:
    """Ask once and wait until the evaluated answer has been admitted."""
    await _ask(driver, _question(0), pb.ANSWER_ORIGIN_GENERATED)

    async def admitted() -> bool:
        return (await driver.cache_stats()).admitted_count > 0

    await eventually(admitted, seconds=20)


async def _measure(paths: dict[str, Call]) -> list[figures.Figure]:
    """Latency one at a time, the paths in turn so that each sees the same machine; then throughput."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for n in range(ONE_AT_A_TIME):
        for name, call in paths.items():
            started = time.perf_counter()
            if await call(n):
                taken[name].append(time.perf_counter() - started)
    rates = {name: await _rate(call) for name, call in paths.items()}
    return [figure for name in paths for figure in _figures(name, taken, rates)]


def _figures(name: str, taken: dict[str, list[float]], rates: dict[str, float]) -> Sequence[figures.Figure]:
    base = "two_hop_echo"
    if name == base:
        return [*figures.timings(name, taken[name]), figures.Figure(f"{name}_per_s", rates[name])]
    answered = figures.Figure(f"{name}_answered_so", len(taken[name]) / ONE_AT_A_TIME)
    rate = figures.Figure(f"{name}_per_s", rates[name], baseline=f"{base}_per_s", ratio=rates[name] / rates[base])
    return [answered, *figures.timings(name, taken[name], taken[base], base), rate]


async def _rate(call: Call) -> float:
    """Requests a second with AT_ONCE callers."""
    numbers = iter(range(ONE_AT_A_TIME, ONE_AT_A_TIME + TOGETHER))

    async def caller() -> None:
        for n in numbers:
            await call(n)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return TOGETHER / (time.perf_counter() - started)


async def _echo(call: Echo) -> bool:
    return await call(PAYLOAD, timeout=10) == PAYLOAD


async def _ask(
    driver: Driver,
    question: str,
    origin: pb.AnswerOrigin,
    freshness: pb.Freshness = pb.FRESHNESS_UNSPECIFIED,
) -> bool:
    return (await driver.ask(question, freshness)).origin == origin


def _fact(n: int) -> str:
    return f"The product {n} lamp costs {100 + n} euros. It is {20 + n} centimetres tall and comes in grey."


def _question(n: int) -> str:
    return f"How much does the product {n} lamp cost?"


def _other_words(n: int) -> str:
    return f"How much does a product {n} lamp cost, please?"


if __name__ == "__main__":
    asyncio.run(main())
