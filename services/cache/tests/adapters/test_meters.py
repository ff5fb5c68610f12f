"""What a reader of metrics sees."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from plumbline_cache.adapters.meters import TallyMeters
from plumbline_cache.domain.entry import Cost, Saving, Scope
from plumbline_cache.domain.freshness import Cause
from plumbline_cache.domain.lookup import MissReason, Tier
from plumbline_cache.handlers.tallies import Tallies
from plumbline_kit.telemetry import names

SAVING = Saving(100, 10, 1.5, (Cost("EUR", 0.25),))


def seen(reader: InMemoryMetricReader) -> dict[tuple[str, object], float]:
    """Values by name and the one attribute."""
    data = reader.get_metrics_data()
    assert data is not None
    [metrics] = [scope.metrics for resource in data.resource_metrics for scope in resource.scope_metrics]
    return {
        (metric.name, next(iter((point.attributes or {}).values()), None)): point.value  # type: ignore[union-attr, misc]  # all are sums
        for metric in metrics
        for point in metric.data.data_points
    }


def test_metrics_tell_of_all_tenants_together_and_name_none() -> None:
    tallies, reader = Tallies(), InMemoryMetricReader()
    TallyMeters(MeterProvider([reader]).get_meter("test"), tallies)
    for tenant in ("acme", "globex"):
        scope = Scope(tenant, (), "default", "r1")
        tallies.add(scope, Tier.EXACT, SAVING)
        tallies.add(scope, MissReason.STALE)
        tallies.add(scope, Cause.BY_HAND)
    assert seen(reader) == {
        (names.CACHE_LOOKUPS, "exact"): 2,
        (names.CACHE_LOOKUPS, "stale"): 2,
        (names.CACHE_INVALIDATIONS, "by_hand"): 2,
        (names.CACHE_SAVED_TOKENS, None): 220,
        (names.CACHE_SAVED_TIME, None): 3.0,
        (names.CACHE_SAVED_COST, "EUR"): 0.5,
    }
