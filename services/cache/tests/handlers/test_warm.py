"""What is taken in again, and what stays out."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from plumbline_cache.adapters.memory import InlineTurns
from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.domain.freshness import Floor
from plumbline_cache.handlers.warm import Warmed, WarmEntries
from plumbline_kit.errors import Exhausted
from plumbline_kit.testing import FakeClock

Make = Callable[..., Any]


@dataclass
class Evaluated:
    """Answers that were evaluated; reading each takes a second."""

    candidates: Sequence[Candidate]
    clock: FakeClock

    async def of_tenant(self, tenant: str) -> AsyncGenerator[Candidate, None]:
        for candidate in self.candidates:
            await asyncio.sleep(0)
            self.clock.advance(1)
            if candidate.scope.tenant == tenant:
                yield candidate


@pytest.fixture
def four(candidate: Make) -> list[Candidate]:
    """One to take in, one of another release, one whose source has changed, one that did not pass."""
    good = candidate("Good?", ("prices", 2, "h2"), answer_id="good")
    other = candidate("Other?", ("prices", 2, "h2"), scope=replace(good.scope, release="r0"), answer_id="other")
    return [
        good,
        other,
        candidate("Old?", ("prices", 1, "h1"), answer_id="old"),
        candidate("Bad?", ("prices", 2, "h2"), answer_id="bad", passed=False),
    ]


def warming(cache: Any, candidates: Sequence[Candidate]) -> WarmEntries:
    clock = FakeClock()
    return WarmEntries(Evaluated(candidates, clock), cache.admitting, InlineTurns(), clock)


async def test_what_the_rules_allow_comes_in_and_the_rest_is_counted_by_reason(
    writing: Make, four: list[Candidate]
) -> None:
    cache = writing()
    cache.store.keep_floor(Floor("acme", "prices", 2))
    warmed = await warming(cache, four)("acme", seconds=60)
    assert list(cache.held()) == ["good"]
    refused = {Refusal.OTHER_RELEASE: 1, Refusal.SOURCE_CHANGED: 1, Refusal.NOT_PASSED: 1}
    assert (warmed.admitted, warmed.refused, warmed.read, warmed.whole) == (1, refused, 4, True)


async def test_what_is_there_already_is_left_as_it_is(writing: Make, four: list[Candidate]) -> None:
    cache = writing()
    await cache.admit(four[0])
    before = cache.held()
    warmed = await warming(cache, four[:1])("acme", seconds=60)
    assert (warmed, cache.held()) == (Warmed(held=1, whole=True), before)


async def test_it_ends_in_time_and_goes_on_when_it_is_called_again(writing: Make, candidate: Make) -> None:
    cache = writing()
    answers = [candidate(f"Question {n}?", ("prices", 1, "h1"), answer_id=str(n)) for n in range(6)]
    warm = warming(cache, answers)
    first = await warm("acme", seconds=4)
    assert (first.admitted, first.whole) == (3, False)
    again = await warm("acme", seconds=60)
    assert (again.held, again.admitted, again.whole) == (3, 3, True)


class Silent:
    """A log that is away."""

    async def of_tenant(self, tenant: str) -> AsyncGenerator[Candidate, None]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]  # it never comes to that


async def test_it_ends_in_time_though_nothing_comes(writing: Make) -> None:
    warm = WarmEntries(Silent(), writing().admitting, InlineTurns(), FakeClock())
    assert await warm("acme", seconds=0.01) == Warmed()


async def test_one_warming_is_enough_at_a_time(writing: Make, four: list[Candidate]) -> None:
    warm = warming(writing(), four)
    running = asyncio.create_task(warm("acme", seconds=60))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted):
        await warm("acme", seconds=60)
    assert (await running).whole


async def test_answers_of_other_tenants_stay_theirs(writing: Make, candidate: Make) -> None:
    cache = writing()
    theirs = candidate("Theirs?", ("prices", 1, "h1"))
    assert (await warming(cache, [theirs])("globex", seconds=60)).read == 0
    assert cache.held() == {}
