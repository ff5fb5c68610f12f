"""Load with a memory: what was promised to callers, so that it can be checked after the processes were killed."""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field

import grpc

from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from tests.driver import Driver

LAMPS = 6
LEAST_SECONDS_BETWEEN_CHANGES = 0.5
MOST_SECONDS_BETWEEN_CHANGES = 10.0
"""Each marks or drops what is cached of all lamps, which are alike: the next one waits until something came from the
cache again, and no longer than this."""


@dataclass
class Ledger:
    """Everything the platform has promised so far."""

    accepted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By document: the newest accepted version and the price it says."""
    live: dict[str, int] = field(default_factory=dict)
    """By document: the newest price that was seen to be searchable."""
    recorded: set[str] = field(default_factory=set)
    """Answers whose evaluation was promised."""
    hits: int = 0
    stale: list[str] = field(default_factory=list)
    """Cached answers that were older than what was searchable when they were asked for."""
    refusals: int = 0
    """Calls that failed with a status code, as calls to a killed service do."""


@dataclass
class Load:
    """Callers that ask and an owner who keeps changing prices, until told to stop."""

    driver: Driver
    ledger: Ledger
    seed: int
    tag: str
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, callers: int = 2) -> None:
        """Return soon after `stopped` is set."""
        await asyncio.gather(self._change_prices(), *(self._ask(number) for number in range(callers)))

    async def _change_prices(self) -> None:
        choose = random.Random(self.seed)
        price = 100
        while not self.stopped.is_set():
            price += 1
            hits = self.ledger.hits
            lamp = self._lamp(choose.randrange(LAMPS))
            try:
                await self._change(lamp, price)
            except grpc.aio.AioRpcError:
                self.ledger.refusals += 1
            await self._pause(LEAST_SECONDS_BETWEEN_CHANGES)
            await self._until_hit_after(hits)

    async def _change(self, lamp: str, price: int) -> None:
        version = await self.driver.submit(lamp, lamp, f"The {lamp} lamp costs {price} euros.", timeout=5)
        self.ledger.accepted[lamp] = (version, price)
        status = await self.driver.wait(lamp, version, timeout=15)
        assert status.state == retrieval_pb.DOCUMENT_STATE_LIVE, status
        self.ledger.live[lamp] = price

    async def _until_hit_after(self, hits: int) -> None:
        until = time.monotonic() + MOST_SECONDS_BETWEEN_CHANGES
        while self.ledger.hits == hits and not self.stopped.is_set() and time.monotonic() < until:
            await self._pause(0.1)

    async def _ask(self, caller: int) -> None:
        choose = random.Random(self.seed * 1000 + caller)
        while not self.stopped.is_set():
            lamp = self._lamp(choose.randrange(LAMPS))
            least = dict(self.ledger.live)
            try:
                answer = await self.driver.ask(f"How much does the {lamp} lamp cost?", timeout=10)
            except grpc.aio.AioRpcError:
                self.ledger.refusals += 1
            else:
                self._note(answer, least)
            await self._pause(0.1)

    def _note(self, answer: gateway_pb.AskCompleted, least: dict[str, int]) -> None:
        if answer.origin == gateway_pb.ANSWER_ORIGIN_CACHED:
            self.ledger.hits += 1
            self.ledger.stale += [
                f"{lamp}: {price} served, {least[lamp]} was live"
                for lamp, price in re.findall(r"The (\w+) lamp costs (\d+) euros", answer.answer.text)
                if int(price) < least.get(lamp, 0)
            ]
        elif answer.recorded:
            self.ledger.recorded.add(answer.coalesced_with or answer.answer_id)

    def _lamp(self, number: int) -> str:
        return f"Lamp{self.tag}{number}"

    async def _pause(self, seconds: float) -> None:
        """Leave room between calls: the load is there to be in flight, not to fill the machine."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except TimeoutError:
            return
