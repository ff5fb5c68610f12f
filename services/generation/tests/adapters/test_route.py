"""Several endpoints as one model: on servers that fail as they are told, and on fakes where time matters."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline_generation.adapters.endpoint import Endpoint
from plumbline_generation.adapters.openai import ApiClient, OpenAIModel
from plumbline_generation.adapters.route import Route
from plumbline_generation.adapters.route_meters import RouteMeters
from plumbline_generation.domain.attempts import AttemptOutcome, Cost, Trail
from plumbline_generation.domain.breaker import Breaker, BreakerSettings, BreakerState
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.routing import EndpointSettings, Price
from plumbline_generation.ports import Finish, LanguageModel, Limits, ModelFailed
from plumbline_generation.testing import FakeModel
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.release import Release
from plumbline_kit.telemetry import names
from plumbline_kit.testing import FakeClock, eventually
from plumbline_kit.testing.llm import FakeLLM

PROMPT = Prompt("Answer.", "[1] Lamp: The lamp costs 41 euros.\n\nQuestion: How much?")
TEXT = "The lamp costs 41 euros."
PATIENT = Limits(5, 5)
NAMES = ("first", "second", "third")
BREAKER = BreakerSettings(minimum_calls=4, open_seconds=10)


@dataclass
class Metrics:
    """What a route tells, as it is read."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.meters = RouteMeters(MeterProvider([self.reader]).get_meter("test"))

    def read(self, name: str) -> dict[tuple[Any, ...], float]:
        """The values of an instrument, by the values of its attributes."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        points = [p for scope in scopes for one in scope.metrics if one.name == name for p in one.data.data_points]
        return {tuple(point.attributes.values()): point.value for point in points}


def a_route(
    models: Sequence[LanguageModel],
    *,
    own: Sequence[dict[str, Any]] = (),
    hedge: float | None = None,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    breaker: BreakerSettings = BREAKER,
    weights: Sequence[float] = (),
) -> Route:
    """A route over *models*, in their order; *own* are settings of the first ones."""
    more = [*own, *[{}] * (len(models) - len(own))]
    settings = [EndpointSettings(name, "", f"model-{name}", **s) for name, s in zip(NAMES, more, strict=False)]
    settings = [replace(one, max_output_tokens=min(one.max_output_tokens, 40)) for one in settings]
    return Route(
        [Endpoint(one, model, Breaker(breaker)) for one, model in zip(settings, models, strict=False)],
        weights or [0] * len(models),
        hedge_seconds=hedge,
        tokens=lambda prompt: len(prompt.user.split()),
        meters=(metrics or Metrics()).meters,
        clock=clock or FakeClock(),
        draw=lambda: 0.0,
    )


@asynccontextmanager
async def served(release: Release, servers: Sequence[FakeLLM], **how: Any) -> AsyncIterator[Route]:
    """A route over running servers."""
    async with AsyncExitStack() as stack:
        models = []
        for server, name in zip(servers, NAMES, strict=False):
            client = await stack.enter_async_context(ApiClient(server.base_url, "", connections=8))
            models.append(OpenAIModel(client, release.model, endpoint=name, clock=SystemClock()))
        yield a_route(models, **{"clock": SystemClock()} | how)


@pytest.fixture
def pair() -> tuple[FakeLLM, FakeLLM]:
    return FakeLLM(), FakeLLM()


async def answer(route: Route, limits: Limits = PATIENT) -> tuple[str, Trail, str]:
    """What was written, how it came about, and the reason if it failed."""
    text, trail, why = "", Trail(), ""
    try:
        async with aclosing(route.write(PROMPT, limits)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    trail = piece.trail
                else:
                    text += piece
    except ModelFailed as failed:
        trail, why = failed.trail, str(failed)
    return text, trail, why


def told(trail: Trail) -> list[tuple[str, str]]:
    return [(attempt.endpoint, attempt.outcome.value) for attempt in trail.attempts]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ({"status": 500}, "server_error"),
        ({"status": 429}, "rate_limited"),
        ({"status": 404}, "misconfigured"),
        ({"status": 400}, "rejected"),
        ({"drop_after": 0}, "broke_off"),
        ({"hang": True}, "timed_out"),
        ({"garbage": "{half"}, "malformed"),
        ({"raw": b"data: \xff\n\n"}, "malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_fails_before_its_first_token_is_replaced_by_the_next(
    release: Release, pair: tuple[FakeLLM, FakeLLM], how: dict[str, Any], outcome: str
) -> None:
    first, second = pair
    async with first, second, served(release, pair, own=[{"first_token_seconds": 0.1}]) as route:
        with first.failing(**how):
            text, trail, why = await answer(route)
    assert (text, why) == (TEXT, "")
    assert (trail.endpoint, trail.model) == ("second", "model-second")
    assert told(trail) == [("first", outcome), ("second", "answered")]
    assert trail.attempts[0].reason
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_server_that_is_away_is_replaced_by_the_next(release: Release, pair: tuple[FakeLLM, FakeLLM]) -> None:
    async with pair[0]:
        pass
    async with pair[1], served(release, pair) as route:
        text, trail, _ = await answer(route)
    assert (text, told(trail)) == (TEXT, [("first", "unreachable"), ("second", "answered")])


@pytest.mark.parametrize("how", [{"drop_after": 2}, {"endless": True}], ids=["dies in mid-stream", "does not end"])
async def test_what_fails_after_its_first_token_is_not_replaced(
    release: Release, pair: tuple[FakeLLM, FakeLLM], how: dict[str, Any]
) -> None:
    first, second = pair
    first.tokens_per_second = 100
    async with first, second, served(release, pair, own=[{"total_seconds": 0.2}]) as route:
        with first.failing(**how):
            text, trail, why = await answer(route)
    assert text.startswith("The lamp")
    assert why
    assert (trail.endpoint, len(trail.attempts)) == ("first", 1)
    assert not second.requests


async def test_when_all_fail_those_that_may_be_well_again_are_asked_once_more() -> None:
    models = [FakeModel((), failure="gone"), FakeModel((), failure="gone too")]
    text, trail, why = await answer(a_route(models))
    assert (text, why) == ("", "first: gone; second: gone too")
    assert [name for name, _ in told(trail)] == ["first", "second", "first", "second"]


async def test_a_configuration_error_is_not_asked_again(release: Release) -> None:
    async with FakeLLM() as server, served(release, [server]) as route:
        with server.failing(status=404):
            _, trail, why = await answer(route)
    assert why == "the model refused the request with status 404: a configuration error"
    assert told(trail) == [("first", "misconfigured")]


async def test_an_endpoint_that_fails_is_left_alone_probed_and_asked_again() -> None:
    clock, metrics = FakeClock(), Metrics()
    broken, well = FakeModel((), failure="gone"), FakeModel()
    route = a_route([broken, well], clock=clock, metrics=metrics)
    for _ in range(4):
        await answer(route)
    assert metrics.read(names.BREAKER_STATE) == {("first",): 2, ("second",): 0}

    assert told((await answer(route))[1]) == [("first", "circuit_open"), ("second", "answered")]
    clock.advance(10)
    assert metrics.read(names.BREAKER_STATE)["first",] == 1
    broken.pieces, broken.failure = ("Well again.",), ""
    assert (await answer(route))[0] == "Well again."
    assert metrics.read(names.BREAKER_STATE)["first",] == 0


async def test_a_server_that_asks_for_a_pause_gets_it(release: Release, pair: tuple[FakeLLM, FakeLLM]) -> None:
    first, second = pair
    clock = FakeClock()
    async with first, second, served(release, pair, clock=clock) as route:
        with first.failing(status=429, retry_after="30", times=1):
            await answer(route)
        clock.advance(29)
        _, held, _ = await answer(route)
        clock.advance(1)
        _, after, _ = await answer(route)
    assert told(held) == [("first", "circuit_open"), ("second", "answered")]
    assert told(after) == [("first", "answered")]


async def test_nobody_waits_for_the_whole_answer_that_tells_whether_an_endpoint_is_well_again() -> None:
    clock, only = FakeClock(), FakeModel((), failure="gone")
    route = a_route([only], clock=clock)
    for _ in range(4):
        await answer(route)
    clock.advance(10)
    only.pieces, only.failure, only.hangs = ("Well", " again."), "", True
    async with aclosing(route.write(PROMPT, PATIENT)) as probe:
        assert await anext(probe) == "Well"
        only.hangs = False
        assert (await answer(route))[0] == "Well again."


async def test_a_caller_in_a_hurry_is_not_held_against_the_endpoint(release: Release) -> None:
    async with FakeLLM() as server, served(release, [server], breaker=BreakerSettings(minimum_calls=1)) as route:
        with server.failing(hang=True):
            _, trail, why = await answer(route, Limits(0.05, 5))
        assert "no token within" in why
        assert told(trail) == [("first", "timed_out")]
        assert route._endpoints[0].breaker.state(0) is BreakerState.CLOSED


async def test_a_full_endpoint_is_passed_over() -> None:
    busy, other = FakeModel(hangs=True), FakeModel()
    route = a_route([busy, other], own=[{"concurrency": 1}])
    async with aclosing(route.write(PROMPT, PATIENT)) as pieces:
        await anext(pieces)
        _, trail, _ = await answer(route)
    assert told(trail) == [("first", "full"), ("second", "answered")]


async def test_when_all_are_full_a_place_is_waited_for_as_long_as_the_caller_may() -> None:
    model = FakeModel(hangs=True)
    route = a_route([model], own=[{"concurrency": 1}])
    pieces = route.write(PROMPT, PATIENT)
    await anext(pieces)
    assert (await answer(route, Limits(0.02, 5)))[2] == "too many others are waiting for the model"

    waiting = [asyncio.create_task(answer(route)) for _ in range(2)]
    await eventually(lambda: len(route.queue._waiting) == 2)
    model.hangs = False
    await pieces.aclose()
    texts = [text for text, _, _ in await asyncio.gather(*waiting)]
    assert texts == ["The Aurora desk lamp costs 49 euros."] * 2


async def test_a_prompt_that_does_not_fit_goes_elsewhere() -> None:
    small = FakeModel()
    _, trail, _ = await answer(a_route([small, FakeModel()], own=[{"context_tokens": 45}]))
    assert told(trail) == [("first", "prompt_too_long"), ("second", "answered")]
    assert not small.asked


async def test_a_slow_endpoint_is_overtaken_and_stopped(release: Release, pair: tuple[FakeLLM, FakeLLM]) -> None:
    first, second = pair
    async with first, second, served(release, pair, hedge=0.05) as route:
        with first.failing(hang=True):
            text, trail, _ = await answer(route)
        await eventually(lambda: first.abandoned == 1)
    assert (text, told(trail)) == (TEXT, [("first", "overtaken"), ("second", "answered")])


async def test_a_hedge_that_fails_leaves_the_first_its_time(release: Release, pair: tuple[FakeLLM, FakeLLM]) -> None:
    first, second = pair
    first.first_token_seconds = 0.2
    async with first, second, served(release, pair, hedge=0.02) as route:
        with second.failing(status=500):
            text, trail, _ = await answer(route)
    assert (text, told(trail)) == (TEXT, [("second", "server_error"), ("first", "answered")])


async def test_an_endpoint_that_is_overtaken_again_and_again_is_left_alone() -> None:
    hanging, well = FakeModel((), hangs=True), FakeModel()
    route = a_route([hanging, well], hedge=1.0)
    trails = [(await answer(route))[1] for _ in range(5)]
    assert [told(trail)[0] for trail in trails] == [("first", "overtaken")] * 4 + [("first", "circuit_open")]
    assert hanging.stopped_early


async def test_who_is_quick_enough_is_not_hedged(release: Release, pair: tuple[FakeLLM, FakeLLM]) -> None:
    first, second = pair
    async with first, second, served(release, pair, hedge=3.0) as route:
        await answer(route)
    assert not second.requests


@pytest.mark.parametrize("begun", [True, False], ids=["amid the text", "before the first token"])
async def test_a_caller_that_goes_ends_every_call_within_a_tenth_of_a_second(
    release: Release, pair: tuple[FakeLLM, FakeLLM], begun: bool
) -> None:
    first, second = pair
    for server in pair:
        server.tokens_per_second = 2
        server.first_token_seconds = 0 if begun else 5
    asked = pair[:1] if begun else pair
    async with first, second, served(release, pair, hedge=0.02) as route:
        writing = asyncio.create_task(answer(route))
        await eventually(lambda: all(server._at_work for server in asked))
        if begun:
            await eventually(lambda: route._endpoints[0].at_work)
        went = time.monotonic()
        writing.cancel()
        await eventually(lambda: all(server.abandoned == 1 for server in asked))
        assert time.monotonic() - went < 0.1
        assert [endpoint.at_work for endpoint in route._endpoints] == [0, 0]


async def test_callers_that_go_at_any_moment_leave_no_place_taken_and_nobody_waiting(
    release: Release, pair: tuple[FakeLLM, FakeLLM]
) -> None:
    chance = random.Random(7)
    own = [{"concurrency": 2}, {"concurrency": 1}]

    async def leave(route: Route, turns: int) -> None:
        writing = asyncio.create_task(answer(route))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait({writing})

    async with pair[0], pair[1], served(release, pair, own=own, hedge=0.001) as route:
        with pair[0].failing(share=0.5, status=500):
            await asyncio.gather(*(leave(route, chance.randrange(150)) for _ in range(60)))
        assert [endpoint.at_work for endpoint in route._endpoints] == [0, 0]
        assert not route.queue._waiting
        assert (await answer(route))[0] == TEXT


async def test_an_answer_has_its_cost_and_metrics_count_it() -> None:
    metrics = Metrics()
    route = a_route([FakeModel()], own=[{"price": Price(1.0, 10.0, "EUR")}], metrics=metrics)
    _, trail, _ = await answer(route)
    assert trail.cost == Cost("EUR", pytest.approx(180e-6))
    assert metrics.read(names.MODEL_COST) == {("first", "EUR"): pytest.approx(180e-6)}
    assert metrics.read(names.MODEL_ATTEMPTS) == {("first", "answered"): 1}


async def test_each_attempt_is_a_span_that_names_its_endpoint(
    release: Release, pair: tuple[FakeLLM, FakeLLM], spans: InMemorySpanExporter
) -> None:
    first, second = pair
    async with first, second, served(release, pair) as route:
        with first.failing(status=500):
            await answer(route)
    told_by = [(s.attributes or {}) for s in spans.get_finished_spans()]
    assert [one[names.MODEL_ENDPOINT] for one in told_by] == ["first", "second"]
    assert told_by[0][names.ERROR_TYPE] == "server_error"


async def test_answers_survive_an_endpoint_that_errs_then_hangs_then_dies(release: Release) -> None:
    """Of 400 answers 99.5 % come from a model, each once; the sick endpoint is left alone meanwhile."""
    sick, well, metrics = FakeLLM(), FakeLLM(), Metrics()
    breaker = BreakerSettings(window_seconds=5, minimum_calls=5, failure_share=0.25, open_seconds=0.05)
    own, states, answers = [{"first_token_seconds": 0.1}], set(), []

    async def ask(times: int) -> None:
        for _ in range(times):
            answers.append(await answer(route))
            states.add(metrics.read(names.BREAKER_STATE)["first",])

    async with AsyncExitStack() as life, well:
        await life.enter_async_context(sick)
        route = await life.enter_async_context(served(release, [sick, well], own=own, metrics=metrics, breaker=breaker))
        for how in ({"share": 0.3, "status": 500}, {"share": 0.3, "drop_after": 0}, {"hang": True}):
            with sick.failing(**how):
                await asyncio.gather(*(ask(25) for _ in range(4)))
        await sick.__aexit__()
        await asyncio.gather(*(ask(25) for _ in range(4)))

    delivered = [text for text, _, why in answers if not why]
    assert len(answers) == 400
    assert len(delivered) >= 0.995 * 400
    assert set(delivered) == {TEXT}
    assert all(sum(outcome == "answered" for _, outcome in told(trail)) == 1 for _, trail, why in answers if not why)
    assert states >= {0, 2}
    attempts = metrics.read(names.MODEL_ATTEMPTS)
    assert {outcome for name, outcome in attempts if name == "first"} >= {
        AttemptOutcome.ANSWERED.value,
        AttemptOutcome.SERVER_ERROR.value,
        AttemptOutcome.TIMED_OUT.value,
        AttemptOutcome.UNREACHABLE.value,
        AttemptOutcome.CIRCUIT_OPEN.value,
    }
    assert attempts["second", "answered"] + attempts["first", "answered"] == len(delivered)
