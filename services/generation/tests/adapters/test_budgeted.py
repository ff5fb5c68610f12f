"""A model that takes what it writes out of a budget: on fakes, with a ledger that is away when told."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from plumbline_generation.adapters.budgeted import BudgetedModel
from plumbline_generation.adapters.memory_ledger import MemoryLedger
from plumbline_generation.adapters.purse import Purse, PurseMeters
from plumbline_generation.domain.attempts import NOT_COUNTED, AttemptOutcome, Usage
from plumbline_generation.domain.budget import Account, Budgets, Reservation, Spent
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, LanguageModel, Limits, ModelFailed
from plumbline_generation.testing import FakeModel, words
from plumbline_kit.errors import Unavailable
from plumbline_kit.telemetry import names
from plumbline_kit.testing import FakeClock, eventually

PROMPT = Prompt("Answer.", "word " * 9)
"""Ten words, for which fifteen tokens are kept at first."""
LIMITS = Limits(5, 20, "acme")
TODAY = Account("acme", datetime(2026, 1, 1, tzinfo=UTC).date())


class AwayLedger(MemoryLedger):
    """Raises, until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True
        self.asked = 0

    async def reserve(self, *what: Any, **more: Any) -> Reservation | None:
        """See `Ledger`."""
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return await super().reserve(*what, **more)


@dataclass
class Bench:
    """A budget of so many tokens, and a clock that goes when somebody waits."""

    tokens: float = 100
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    fails_open: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        meters = PurseMeters(MeterProvider([self.reader]).get_meter("test"), self.clock)
        self.purse = Purse(
            Budgets(self.tokens), self.ledger, fails_open=self.fails_open, meters=meters, clock=self.clock
        )

    def model(self, inner: LanguageModel, most: int = 40) -> BudgetedModel:
        """*inner*, paid for."""
        return BudgetedModel(
            inner, self.purse, max_output_tokens=most, count=lambda text: len(words(text)), clock=self.clock
        )

    async def spent(self) -> Spent:
        """When everything is settled."""
        await self.purse.aclose()
        return await self.ledger.spent(TODAY, self.clock.now())

    def read(self, name: str) -> dict[tuple[Any, ...], float]:
        """An instrument's values by those of its attributes."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        points = [p for scope in scopes for one in scope.metrics if one.name == name for p in one.data.data_points]
        return {tuple(point.attributes.values()): point.value for point in points}


async def written(model: LanguageModel, limits: Limits = LIMITS) -> Sequence[str | Finish]:
    return [piece async for piece in model.write(PROMPT, limits)]


async def test_what_the_endpoint_tells_is_used_and_the_rest_is_given_back() -> None:
    bench = Bench()
    await written(bench.model(FakeModel(finish=Finish(usage=Usage(12, 9)))))
    assert await bench.spent() == Spent(used=21, reserved=0)
    assert bench.read(names.BUDGET_TOKENS_USED) == {("acme",): 21}
    assert bench.read(names.BUDGET_TOKENS_LEFT) == {("acme",): 79}


async def test_an_endpoint_that_tells_nothing_is_counted_here() -> None:
    bench = Bench()
    await written(bench.model(FakeModel(pieces=("three words ", "here"), finish=Finish(usage=NOT_COUNTED))))
    assert await bench.spent() == Spent(used=13, reserved=0)


async def test_a_reader_that_leaves_pays_for_what_was_written() -> None:
    bench = Bench()
    async with aclosing(
        bench.model(FakeModel(pieces=("three words ", "here"), hangs=True)).write(PROMPT, LIMITS)
    ) as it:
        assert [await anext(it), await anext(it)] == ["three words ", "here"]
    assert await bench.spent() == Spent(used=13, reserved=0)


async def test_little_that_is_left_bounds_the_answer() -> None:
    bench, inner = Bench(tokens=15 + 16 + 4), FakeModel()
    await written(bench.model(inner))
    [(prompt, _)] = inner.asked
    assert prompt.max_tokens == 20


async def test_nothing_is_asked_when_too_little_is_left() -> None:
    bench, inner = Bench(tokens=15 + 15), FakeModel()
    with pytest.raises(ModelFailed, match="used up") as failed:
        await written(bench.model(inner))
    assert (failed.value.outcome, inner.asked) == (AttemptOutcome.OVER_BUDGET, [])
    assert bench.clock.monotonic() == 0


async def test_tenants_without_a_budget_are_not_counted() -> None:
    bench, inner = Bench(tokens=float("inf")), FakeModel()
    await written(bench.model(inner))
    assert (await bench.spent(), inner.asked[0][0]) == (Spent(), PROMPT)


async def test_who_finds_the_rest_held_by_others_waits_for_what_they_give_back() -> None:
    class Clock(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if held and self.monotonic() > 1:
                await bench.ledger.settle(held, 20)

    bench = Bench(tokens=60, clock=Clock())
    held = await bench.ledger.reserve(TODAY, 1, 60, budget=60, until=bench.clock.now() + timedelta(hours=1))
    await written(bench.model(FakeModel(finish=Finish(usage=Usage(10, 3)))))
    assert bench.clock.monotonic() == pytest.approx(1, abs=0.1)
    assert await bench.spent() == Spent(used=33, reserved=0)


async def test_nobody_waits_for_ever() -> None:
    bench = Bench(tokens=60)
    await bench.ledger.reserve(TODAY, 1, 60, budget=60, until=bench.clock.now() + timedelta(hours=1))
    with pytest.raises(ModelFailed, match="held for answers under way"):
        await written(bench.model(FakeModel()))
    assert bench.clock.monotonic() == pytest.approx(3, abs=0.1)


async def test_a_new_day_has_new_tokens() -> None:
    bench = Bench(tokens=40)
    model = bench.model(FakeModel(finish=Finish(usage=Usage(12, 9))))
    await written(model)
    await bench.purse.aclose()
    with pytest.raises(ModelFailed):
        await written(model)
    bench.clock.advance(24 * 3600)
    assert bench.read(names.BUDGET_TOKENS_LEFT) == {}
    await written(model)


async def test_a_ledger_that_is_away_lets_through_what_may_go_and_is_not_asked_again_at_once() -> None:
    ledger = AwayLedger()
    bench = Bench(ledger=ledger)
    model = bench.model(inner := FakeModel(finish=Finish(usage=Usage(12, 9))))
    for _ in range(3):
        await written(model)
        bench.clock.advance(4)
    assert (len(inner.asked), ledger.asked) == (3, 1)
    assert bench.read(names.BUDGET_UNCHECKED) == {("acme",): 3}
    ledger.away = False
    await written(model)
    assert (await bench.spent()).used == 21


async def test_a_ledger_that_is_away_stops_the_model_where_it_must() -> None:
    bench, inner = Bench(ledger=AwayLedger(), fails_open=False), FakeModel()
    with pytest.raises(ModelFailed, match="could not be looked at"):
        await written(bench.model(inner))
    assert inner.asked == []


async def test_whoever_leaves_while_tokens_are_reserved_holds_none() -> None:
    class SlowLedger(MemoryLedger):
        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def reserve(self, *what: Any, **more: Any) -> Reservation | None:
            await self.go.wait()
            return await super().reserve(*what, **more)

    ledger = SlowLedger()
    bench = Bench(ledger=ledger)
    leaving = asyncio.create_task(written(bench.model(FakeModel())))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    ledger.go.set()
    await eventually(lambda: bool(ledger._days) and not ledger._held)
    assert await bench.spent() == Spent()
