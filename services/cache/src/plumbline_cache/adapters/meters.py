"""What is measured of the cache: lookups by what came of them, drops by cause, and what hits saved."""

from collections.abc import Iterable, Iterator

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from plumbline_cache.domain.freshness import Cause
from plumbline_cache.domain.lookup import MissReason, Tier
from plumbline_cache.handlers.tallies import Tallies
from plumbline_kit.telemetry import names


class TallyMeters:
    """Reads the tallies of every tenant together whenever metrics are read; no tenant is named."""

    def __init__(self, meter: Meter, tallies: Tallies) -> None:
        self._tallies = tallies
        meter.create_observable_counter(
            names.CACHE_LOOKUPS, [self._lookups], description="by the tier that answered, or why none did"
        )
        meter.create_observable_counter(names.CACHE_INVALIDATIONS, [self._drops], description="entries, by cause")
        meter.create_observable_counter(
            names.CACHE_SAVED_TOKENS, [self._tokens], unit="{token}", description="what hits' generations took"
        )
        meter.create_observable_counter(
            names.CACHE_SAVED_TIME, [self._time], unit="s", description="what hits' generations took"
        )
        meter.create_observable_counter(
            names.CACHE_SAVED_COST, [self._cost], description="what hits' generations cost, in units of the currency"
        )

    def _lookups(self, _: CallbackOptions) -> Iterator[Observation]:
        for happening, count in self._tallies.total().counts.items():
            if isinstance(happening, Tier):
                yield Observation(count, {names.CACHE_TIER: happening.value})
            elif isinstance(happening, MissReason):
                yield Observation(count, {names.CACHE_MISS_REASON: happening.value})

    def _drops(self, _: CallbackOptions) -> Iterator[Observation]:
        for happening, count in self._tallies.total().counts.items():
            if isinstance(happening, Cause):
                yield Observation(count, {names.CACHE_INVALIDATION_CAUSE: happening.value})

    def _tokens(self, _: CallbackOptions) -> Iterable[Observation]:
        saved = self._tallies.total().saved
        return [Observation(saved.prompt_tokens + saved.completion_tokens)]

    def _time(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self._tallies.total().saved.seconds)]

    def _cost(self, _: CallbackOptions) -> Iterator[Observation]:
        for cost in self._tallies.total().saved.costs:
            yield Observation(cost.amount, {names.CURRENCY: cost.currency})
