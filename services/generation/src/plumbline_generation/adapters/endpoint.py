"""One endpoint of a route: its model, its breaker, its places, and the calls that are made of it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Final

from plumbline_generation.adapters.route_meters import RouteMeters
from plumbline_generation.domain.attempts import Attempt, AttemptOutcome, Trail
from plumbline_generation.domain.breaker import Breaker
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.routing import EndpointSettings
from plumbline_generation.ports import Finish, LanguageModel, Limits, ModelFailed
from plumbline_kit.clock import Clock

LONGEST_HOLD_SECONDS: Final = 600.0
"""A server that asks to be left alone for longer is asked again all the same."""
SAYS_NOTHING: Final = (
    AttemptOutcome.OVERTAKEN,
    AttemptOutcome.ABANDONED,
    AttemptOutcome.REJECTED,
    AttemptOutcome.OVER_BUDGET,
)
"""How an attempt may end without anything being known of the endpoint's health."""


@dataclass(slots=True)
class Endpoint:
    """What is known of an endpoint while it is in use. *settings* names the model by which it goes."""

    settings: EndpointSettings
    model: LanguageModel
    breaker: Breaker
    at_work: int = 0

    @property
    def full(self) -> bool:
        """Whether it has as many calls as it may."""
        return self.at_work >= self.settings.concurrency

    def attempt(self, outcome: AttemptOutcome, reason: str = "", seconds: float = 0.0) -> Attempt:
        """What came of asking it, or of not asking it."""
        return Attempt(self.settings.name, self.settings.model, outcome, reason, seconds)


class Call:
    """One call of an endpoint. It takes a place, which is free again when the call has ended, which it does once."""

    def __init__(self, endpoint: Endpoint, prompt: Prompt, left: Limits, *, meters: RouteMeters, clock: Clock) -> None:
        """*left* is what the caller's limits leave. Asks at once."""
        own = endpoint.settings
        self._endpoint = endpoint
        self._meters = meters
        self._clock = clock
        self._began = clock.monotonic()
        self._patient = own.first_token_seconds <= left.first_token, own.total_seconds <= left.total
        self._spoke = self._slow = False
        self._ended: Attempt | None = None
        first, total = min(own.first_token_seconds, left.first_token), min(own.total_seconds, left.total)
        limits = Limits(first, total, left.tenant)
        self._pieces = endpoint.model.write(prompt, limits)
        endpoint.at_work += 1
        self._period = endpoint.breaker.begin(self._began)
        self.first = asyncio.create_task(self._begin())
        """The first piece, or `ModelFailed`."""

    async def _begin(self) -> str | Finish:
        return await anext(self._pieces)

    async def rest(self) -> AsyncGenerator[str | Finish, None]:
        """All pieces, once the first is there. Raises `ModelFailed`."""
        self._spoke = True
        self._endpoint.breaker.spoke(self._period)
        piece = await self.first
        while not isinstance(piece, Finish):
            yield piece
            piece = await anext(self._pieces)
        settings = self._endpoint.settings
        cost = settings.price.of(piece.usage) if settings.price else None
        if cost:
            self._meters.paid(settings.name, cost)
        yield replace(piece, trail=Trail(settings.name, settings.model, cost=cost))

    async def stop(self, outcome: AttemptOutcome, reason: str = "", *, slow: bool = False) -> Attempt:
        """Stop the model, should it still write, and say what came of it. A *slow* call counts as a failure."""
        self._slow = slow
        self.first.cancel()
        try:
            await asyncio.wait({self.first})
            await self._pieces.aclose()
        finally:
            attempt = self._end(self._endpoint.attempt(outcome, reason, self._clock.monotonic() - self._began), None)
        if not self.first.cancelled():
            self.first.exception()  # it may have failed in the same moment; nobody else looks
        return attempt

    async def fail(self, error: ModelFailed) -> Attempt:
        """The model has failed."""
        await self._pieces.aclose()
        seconds = self._clock.monotonic() - self._began
        return self._end(self._endpoint.attempt(error.outcome, str(error), seconds), error.retry_after)

    def _end(self, attempt: Attempt, retry_after: float | None) -> Attempt:
        if self._ended:
            return self._ended
        self._ended, now, breaker = attempt, self._clock.monotonic(), self._endpoint.breaker
        self._endpoint.at_work -= 1
        breaker.end(self._period, now, self._verdict(attempt.outcome))
        if retry_after is not None:
            breaker.hold(now, min(retry_after, LONGEST_HOLD_SECONDS))
        self._meters.attempted(attempt)
        return attempt

    def _verdict(self, outcome: AttemptOutcome) -> bool | None:
        """Whether the endpoint did well. That a caller had less time than the endpoint may take is not its fault."""
        if self._slow:
            return False
        if outcome is AttemptOutcome.TIMED_OUT and not self._patient[self._spoke]:
            return None
        return None if outcome in SAYS_NOTHING else outcome is AttemptOutcome.ANSWERED
