"""`LanguageModel` over several endpoints: one is asked, and the next where it fails before its first token."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Final

import structlog

from plumbline_generation.adapters.endpoint import Call, Endpoint
from plumbline_generation.adapters.route_meters import RouteMeters
from plumbline_generation.domain.attempts import Attempt, AttemptOutcome, Trail
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.routing import EndpointSettings, EndpointStatus, RouteStatus, order
from plumbline_generation.ports import Finish, Limits, ModelFailed
from plumbline_kit.clock import Clock

log = structlog.get_logger()

ROUNDS: Final = 2
PAUSE_SECONDS: Final = 0.2
"""Between the rounds."""
MENDABLE: Final = (
    AttemptOutcome.UNREACHABLE,
    AttemptOutcome.BROKE_OFF,
    AttemptOutcome.SERVER_ERROR,
    AttemptOutcome.RATE_LIMITED,
)
"""What may be over a moment later, so that the endpoint is asked in the second round too."""
ALL_BUSY: Final = "too many others are waiting for the model"


class Route:
    """Asks the endpoints in their order, the first of them by weight."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        weights: Sequence[float],
        *,
        hedge_seconds: float | None,
        tokens: Callable[[Prompt], int],
        meters: RouteMeters,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        """*tokens* measures a prompt; *draw* gives numbers in [0, 1)."""
        self._endpoints = endpoints
        self._weights = weights
        self._draw = draw
        self.hedge_seconds = hedge_seconds
        self.tokens = tokens
        self.meters = meters
        self.clock = clock
        self.queue = Queue()
        meters.watch({endpoint.settings.name: endpoint.breaker for endpoint in endpoints}, clock)

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`. `Finish` and `ModelFailed` carry the trail."""
        trip = Trip(self, self._ordered(), prompt, limits)
        try:
            call = await trip.first_to_speak()
            pieces = call.rest()
            try:
                async for piece in pieces:
                    yield await trip.arrived(call, piece) if isinstance(piece, Finish) else piece
            except ModelFailed as error:
                raise await trip.broken(call, error) from error
            finally:
                await pieces.aclose()
        finally:
            await trip.aclose()

    def status(self) -> RouteStatus:
        """See `Models`."""
        now = self.clock.monotonic()
        pairs = zip(self._endpoints, self._weights, strict=True)
        statuses = (EndpointStatus(one.settings, weight, one.breaker.state(now), one.at_work) for one, weight in pairs)
        return RouteStatus(tuple(statuses), self.hedge_seconds)

    def _ordered(self) -> list[Endpoint]:
        return [self._endpoints[position] for position in order(self._weights, self._draw())]


class Queue:
    """Those who wait for any place, first come first served."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self, seconds: float, *, again: bool) -> None:
        """Return when a place may be free. Who found it taken goes to the front *again*. Raises `TimeoutError`."""
        freed = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if again else self._waiting.append)(freed)
        try:
            async with asyncio.timeout(seconds):
                await freed
        except BaseException:
            if freed.done() and not freed.cancelled():
                self.wake()  # it was woken and cannot use the place
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(freed)

    def wake(self) -> None:
        """A place is free, or nobody took the one that was."""
        while self._waiting:
            freed = self._waiting.popleft()
            if not freed.done():
                freed.set_result(None)
                return


class Trip:
    """One prompt's way along the route."""

    def __init__(self, route: Route, endpoints: Sequence[Endpoint], prompt: Prompt, limits: Limits) -> None:
        self._route = route
        self._endpoints = endpoints
        self._prompt = prompt
        self._limits = limits
        self._began = route.clock.monotonic()
        self._untried = list(endpoints)
        self._calls: list[Call] = []
        self._attempts: list[Attempt] = []
        self._round = 1
        self._tokens: int | None = None
        self._hedge: asyncio.Task[None] | None = None

    async def first_to_speak(self) -> Call:
        """The call whose first piece is there; what else was asked is stopped. Raises `ModelFailed`."""
        while True:
            if not self._calls and not await self._ask_next():
                raise self._failed()
            call = await self._listen()
            if call:
                await self._overtake(call)
                return call

    async def arrived(self, call: Call, finish: Finish) -> Finish:
        """The end of the answer, with its trail."""
        self._attempts.append(await self._ended(call, AttemptOutcome.ANSWERED))
        return replace(finish, trail=replace(finish.trail, attempts=tuple(self._attempts)))

    async def broken(self, call: Call, error: ModelFailed) -> ModelFailed:
        """The failure amid a text: nobody else is asked, because the caller has read the beginning."""
        attempt = await self._fallen(call, error)
        trail = Trail(attempt.endpoint, attempt.model, tuple(self._attempts))
        return ModelFailed(str(error), error.outcome, trail=trail)

    async def aclose(self) -> None:
        """Stop all that is still under way."""
        self._drop_hedge()
        async with AsyncExitStack() as stack:  # which goes on should one of them raise
            for call in list(self._calls):
                stack.push_async_callback(self._ended, call, AttemptOutcome.ABANDONED)

    async def _listen(self) -> Call | None:
        """The call that has spoken; None after one that failed or a hedge that was placed."""
        hedge = {self._hedge} if self._hedge else set()
        await asyncio.wait({call.first for call in self._calls} | hedge, return_when=asyncio.FIRST_COMPLETED)
        for call in [call for call in self._calls if call.first.done()]:
            error = call.first.exception()
            if error is None:
                return call
            if not isinstance(error, ModelFailed):
                raise error
            await self._fallen(call, error)
        if self._hedge and self._hedge.done():
            self._hedge = None
            self._ask(self._free())
        return None

    async def _overtake(self, winner: Call) -> None:
        """Stop the others. One that was asked earlier was slow: else an endpoint that hangs would be asked for ever."""
        self._drop_hedge()
        earlier = True
        for call in list(self._calls):
            if call is winner:
                earlier = False
                continue
            self._calls.remove(call)
            try:
                attempt = await call.stop(AttemptOutcome.OVERTAKEN, "another endpoint spoke first", slow=earlier)
            finally:
                self._route.queue.wake()
            self._attempts.append(attempt)

    async def _ask_next(self) -> bool:
        """Ask the next endpoint, waiting for a place where all are full. False: nobody is left to ask."""
        again = False
        while True:
            endpoint = self._free()
            if endpoint or not self._full():
                break
            try:
                await self._route.queue.wait(self._left().first_token, again=again)
            except TimeoutError:
                return False
            again = True
        if again and not endpoint:
            self._route.queue.wake()  # another may make use of the place that this one was woken for
        return self._ask(endpoint) or await self._start_over()

    def _ask(self, endpoint: Endpoint | None) -> bool:
        left = self._left()
        if endpoint is None or left.first_token <= 0:
            return False
        self._untried.remove(endpoint)
        call = Call(endpoint, self._prompt, left, meters=self._route.meters, clock=self._route.clock)
        if not self._calls:
            self._set_hedge()
        self._calls.append(call)
        return True

    def _set_hedge(self) -> None:
        self._drop_hedge()
        if self._route.hedge_seconds is not None:
            self._hedge = asyncio.create_task(self._hedge_is_due(self._route.hedge_seconds))

    async def _hedge_is_due(self, seconds: float) -> None:
        await self._route.clock.sleep(seconds)

    def _drop_hedge(self) -> None:
        if self._hedge:
            self._hedge.cancel()
            self._hedge = None

    async def _start_over(self) -> bool:
        """Ask those again whose failure may be over."""
        mendable = {attempt.endpoint for attempt in self._attempts if attempt.outcome in MENDABLE}
        now = self._route.clock.monotonic()
        again = [one for one in self._endpoints if one.settings.name in mendable and one.breaker.admits(now)]
        if self._round == ROUNDS or not again or self._left().first_token <= PAUSE_SECONDS:
            return False
        self._round += 1
        self._untried = again
        await self._route.clock.sleep(PAUSE_SECONDS)
        return await self._ask_next()

    def _free(self) -> Endpoint | None:
        """The next endpoint that may be asked now. What is passed over is noted."""
        for endpoint in list(self._untried):
            outcome, reason = self._obstacle(endpoint)
            if outcome is None:
                return endpoint
            self._pass_over(endpoint.attempt(outcome, reason))
            if outcome is not AttemptOutcome.FULL:
                self._untried.remove(endpoint)
        return None

    def _obstacle(self, endpoint: Endpoint) -> tuple[AttemptOutcome | None, str]:
        settings = endpoint.settings
        if not self._fits(settings):
            return AttemptOutcome.PROMPT_TOO_LONG, "the prompt does not fit into its context"
        if not endpoint.breaker.admits(self._route.clock.monotonic()):
            return AttemptOutcome.CIRCUIT_OPEN, "it failed too often and is left alone for a while"
        if endpoint.full:
            return AttemptOutcome.FULL, ALL_BUSY
        return None, ""

    def _fits(self, settings: EndpointSettings) -> bool:
        if math.isinf(settings.context_tokens):
            return True  # nothing to count for
        if self._tokens is None:
            self._tokens = self._route.tokens(self._prompt)
        return self._tokens + settings.max_output_tokens <= settings.context_tokens

    def _full(self) -> bool:
        return any(endpoint.full for endpoint in self._untried)

    def _pass_over(self, attempt: Attempt) -> None:
        if attempt not in self._attempts:
            self._attempts.append(attempt)
            self._route.meters.attempted(attempt)

    async def _fallen(self, call: Call, error: ModelFailed) -> Attempt:
        self._calls.remove(call)
        attempt = await call.fail(error)
        self._attempts.append(attempt)
        self._route.queue.wake()
        if attempt.outcome is AttemptOutcome.OVER_BUDGET:
            self._untried.clear()  # the budget is the same wherever else it is asked
        else:
            _log(attempt)
        return attempt

    async def _ended(self, call: Call, outcome: AttemptOutcome) -> Attempt:
        self._calls.remove(call)
        try:
            return await call.stop(outcome)
        finally:
            self._route.queue.wake()

    def _left(self) -> Limits:
        passed = self._route.clock.monotonic() - self._began
        limits = self._limits
        return replace(limits, first_token=limits.first_token - passed, total=limits.total - passed)

    def _failed(self) -> ModelFailed:
        """Every reason, each with its endpoint where there are several."""
        last = {attempt.endpoint: attempt for attempt in self._attempts}
        alone = len(self._endpoints) == 1
        reasons = [one.reason if alone else f"{one.endpoint}: {one.reason}" for one in last.values()]
        outcome = self._attempts[-1].outcome if self._attempts else AttemptOutcome.TIMED_OUT
        return ModelFailed(
            "; ".join(reasons) or "no time was left", outcome, trail=Trail(attempts=tuple(self._attempts))
        )


def _log(attempt: Attempt) -> None:
    log.warning("model_failed", endpoint=attempt.endpoint, outcome=attempt.outcome.value, reason=attempt.reason)
