"""An engine or an encoder that hangs costs a miss and 30 ms, never an error and never the next lookup."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline_cache.adapters.encoder import EncodedQuestions
from plumbline_cache.adapters.memory import InlineTurns, MemoryStore, Ready, WordEncoder
from plumbline_cache.adapters.turns import ThreadTurns
from plumbline_cache.domain.entry import Scope
from plumbline_cache.domain.lookup import Hit, Miss, MissReason
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import QuestionEncoder, Turns
from plumbline_kit.clock import SystemClock
from plumbline_kit.testing import FakeClock
from plumbline_models import Motion

Make = Callable[..., Any]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCOPE = Scope("acme", (), "default", "r1")
LAMP = "What does the Aurora lamp cost?"
SAME_LAMP = "Please, what does the Aurora lamp cost?"
IN_ALL = 0.03
ATTEMPTS = 12
"""Of these one at least must not be held up by the machine."""


class Hanging(MemoryStore):
    """Stops in the named call until it is let go."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self.call, self.go, self.stuck = call, threading.Event(), 0

    def __getattribute__(self, name: str) -> Any:
        if name == super().__getattribute__("call") and not self.go.is_set():
            self.stuck += 1
            self.go.wait()
        return super().__getattribute__(name)


class RealTime(FakeClock):
    """It is always noon, and time passes."""

    def monotonic(self) -> float:
        return time.monotonic()


class LateTurns:
    """`Turns` whose first work takes nearly all the time that it has, and every later one for ever."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[[], Any], *, seconds: float | None = None) -> Any:
        self.runs += 1
        async with asyncio.timeout(seconds):
            await asyncio.sleep((seconds or 0) * 0.9 if self.runs == 1 else 60)
        return work()


@dataclass
class SlowEncoder:
    """Takes *seconds* for each question."""

    seconds: float

    async def encode_one(self, text: str) -> Any:
        await asyncio.sleep(self.seconds)
        return await WordEncoder().encode(text)

    def motion(self) -> Motion:
        return Motion(0.0, 0.0)


@dataclass
class HangingEncoder:
    """Takes questions and finishes those that it is told to."""

    taken: list[asyncio.Future[Any]] = field(default_factory=list)

    def encode_one(self, text: str) -> Awaitable[Any]:
        self.taken.append(asyncio.get_running_loop().create_future())
        return self.taken[-1]

    def motion(self) -> Motion:
        return Motion(0.0, 0.0)


def lookup(store: MemoryStore, encoder: QuestionEncoder | None = None, readers: Turns | None = None) -> LookupAnswer:
    ledger = AuditLedger(0.03, SystemClock())
    parts = (store, encoder or WordEncoder(), Ready(), readers or InlineTurns(), Tallies(), Uses(), ledger)
    return LookupAnswer(*parts, RealTime(NOON), 0.85, 0.8)


async def timed(ask: LookupAnswer, question: str = LAMP) -> tuple[float, Hit | Miss]:
    began = time.perf_counter()
    result = await ask(SCOPE, question)
    return time.perf_counter() - began, result


@pytest.fixture(params=["find", "nearest"])
def hanging(request: pytest.FixtureRequest) -> Iterator[Hanging]:
    store = Hanging(request.param)
    yield store
    store.go.set()


async def test_a_hanging_engine_is_a_miss_within_30_ms_with_the_vector(hanging: Hanging) -> None:
    ask = lookup(hanging, readers=ThreadTurns("test-reader", 2))
    found = [await timed(ask) for _ in range(ATTEMPTS)]
    assert min(seconds for seconds, _ in found) <= IN_ALL
    misses = [miss for _, miss in found if isinstance(miss, Miss)]
    assert [miss.reason for miss in misses] == [MissReason.UNREACHABLE] * ATTEMPTS
    assert all(miss.vector is not None for miss in misses)


async def test_reads_that_hang_keep_their_threads_and_no_more(hanging: Hanging, entry: Make) -> None:
    ask = lookup(hanging, readers=ThreadTurns("test-reader", 2))
    await asyncio.gather(*(ask(SCOPE, f"question {number}") for number in range(40)))
    assert hanging.stuck == 2
    hanging.go.set()
    hanging.put(entry(LAMP, ("prices", 1, "h1")), await WordEncoder().encode(LAMP))
    results = [await ask(SCOPE, SAME_LAMP) for _ in range(20)]
    assert isinstance(results[-1], Hit)
    assert hanging.stuck == 2


async def test_a_hanging_encoder_is_a_miss_within_30_ms(entry: Make) -> None:
    ask = lookup(MemoryStore(), EncodedQuestions(HangingEncoder()))
    seconds, miss = await timed(ask)
    assert miss == Miss(MissReason.UNREACHABLE, None)
    found = [await timed(lookup(MemoryStore(), EncodedQuestions(HangingEncoder()))) for _ in range(ATTEMPTS)]
    assert min([seconds, *(each for each, _ in found)]) <= IN_ALL


@pytest.mark.parametrize("encoder_seconds", [0.005, 60.0])
async def test_faults_one_after_the_other_are_a_miss_within_30_ms_together(encoder_seconds: float) -> None:
    found = [
        await timed(lookup(MemoryStore(), EncodedQuestions(SlowEncoder(encoder_seconds)), LateTurns()))
        for _ in range(ATTEMPTS)
    ]
    assert min(seconds for seconds, _ in found) <= IN_ALL
    assert all(isinstance(miss, Miss) and miss.reason is MissReason.UNREACHABLE for _, miss in found)


async def test_exact_hits_go_on_without_the_encoder(entry: Make) -> None:
    store = MemoryStore()
    store.put(entry(LAMP, ("prices", 1, "h1")), await WordEncoder().encode(LAMP))
    assert isinstance(await lookup(store, EncodedQuestions(HangingEncoder()))(SCOPE, LAMP), Hit)
