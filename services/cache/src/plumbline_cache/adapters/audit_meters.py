"""What audits found, as metrics."""

from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from plumbline_cache.handlers.audits import AuditedScope, AuditLedger
from plumbline_kit.telemetry import names

MEASURED_SCOPES: Final = 200
"""As many have metrics of their own, those with the most audits: every one is a series."""


def measure(meter: Meter, ledger: AuditLedger) -> None:
    """Observe *ledger* whenever metrics are exported."""

    def scopes() -> list[tuple[str, AuditedScope]]:
        found = [(tenant, one) for tenant, scopes in ledger.semantic_scopes().items() for one in scopes]
        return sorted(found, key=lambda pair: -pair[1].hits.audited)[:MEASURED_SCOPES]

    def observe(value: Callable[[AuditedScope], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [
            Observation(value(one), {names.TENANT_ID: tenant, names.CACHE_SCOPE: one.scope_key})
            for tenant, one in scopes()
        ]

    about = "of audited semantic hits, by scope: "
    gauges: dict[str, tuple[Callable[[AuditedScope], float], str]] = {
        names.CACHE_FALSE_HITS_LOW: (lambda one: one.hits.low, f"{about}lower bound of the false ones' share"),
        names.CACHE_FALSE_HITS_HIGH: (lambda one: one.hits.high, f"{about}upper bound of the false ones' share"),
        names.CACHE_AUDITED_HITS: (lambda one: one.hits.audited, f"{about}how many count"),
        names.CACHE_SWITCHED_OFF: (lambda one: one.ruling.off, "1 where near questions are not answered, by scope"),
    }
    for name, (value, description) in gauges.items():
        meter.create_observable_gauge(name, [observe(value)], description=description)
