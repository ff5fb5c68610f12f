"""What dashboards read of audits."""

from datetime import timedelta
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from plumbline_cache.adapters.audit_meters import measure
from plumbline_cache.domain.audit import Audit, Outcome, wilson
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_kit.telemetry import names
from plumbline_kit.testing import FakeClock


def observed(reader: InMemoryMetricReader) -> dict[str, tuple[Any, ...]]:
    """Value, tenant and scope by the metric's name."""
    found = reader.get_metrics_data()
    assert found is not None
    metrics = [
        metric for resource in found.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    return {
        metric.name: (point.value, point.attributes[names.TENANT_ID], point.attributes[names.CACHE_SCOPE])
        for metric in metrics
        for point in metric.data.data_points
    }


def test_every_audited_scope_has_its_interval_and_says_whether_it_is_off() -> None:
    clock, reader = FakeClock(), InMemoryMetricReader()
    ledger = AuditLedger(0.03, clock)
    measure(MeterProvider([reader]).get_meter("test"), ledger)
    for number in range(20):
        outcome = Outcome.DIFFERENT if number < 4 else Outcome.SAME
        time = clock.now() + timedelta(seconds=number)
        ledger.add(Audit(time, str(number), "key", "acme", Tier.SEMANTIC, "entry", 0.97, outcome))
    low, high = wilson(4, 20)
    assert observed(reader) == {
        names.CACHE_FALSE_HITS_LOW: (low, "acme", "key"),
        names.CACHE_FALSE_HITS_HIGH: (high, "acme", "key"),
        names.CACHE_AUDITED_HITS: (20, "acme", "key"),
        names.CACHE_SWITCHED_OFF: (1, "acme", "key"),
    }
