"""What is measured of a route: attempts and their outcomes, what they cost, and where each breaker stands."""

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from plumbline_generation.domain.attempts import Attempt, Cost
from plumbline_generation.domain.breaker import Breaker, BreakerState
from plumbline_kit.clock import Clock
from plumbline_kit.telemetry import names

LEVELS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class RouteMeters:
    """The instruments of one route."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._attempts = meter.create_counter(names.MODEL_ATTEMPTS, description="endpoints asked or passed over")
        self._cost = meter.create_counter(names.MODEL_COST, description="what answers cost, in units of the currency")

    def watch(self, breakers: Mapping[str, Breaker], clock: Clock) -> None:
        """Show where each endpoint's breaker stands whenever metrics are read."""

        def states(_: CallbackOptions) -> Iterable[Observation]:
            now = clock.monotonic()
            for endpoint, breaker in breakers.items():
                yield Observation(LEVELS[breaker.state(now)], {names.MODEL_ENDPOINT: endpoint})

        self._meter.create_observable_gauge(
            names.BREAKER_STATE, [states], description="0 closed, 1 half-open, 2 open; of each endpoint"
        )

    def attempted(self, attempt: Attempt) -> None:
        """An attempt has ended, or an endpoint was passed over."""
        attributes = {names.MODEL_ENDPOINT: attempt.endpoint, names.MODEL_ATTEMPT_OUTCOME: attempt.outcome.value}
        self._attempts.add(1, attributes)

    def paid(self, endpoint: str, cost: Cost) -> None:
        """An answer has cost this much."""
        self._cost.add(cost.amount, {names.MODEL_ENDPOINT: endpoint, names.CURRENCY: cost.currency})
