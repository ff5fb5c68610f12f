"""Compare both answers of an audited hit, and count what came of it."""

from dataclasses import dataclass, replace
from functools import partial

import structlog

from plumbline_cache.domain.audit import Audit, FalseHits
from plumbline_cache.domain.comparison import Reason, Told, compare
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.ports import Turns

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of an audit."""

    audit: Audit
    reason: Reason
    hits: FalseHits | None
    """Of the scope's hits of that tier, this one among them; None where they are not counted here."""


@dataclass(frozen=True)
class CompareAnswers:
    """Idempotent: the same answers have the same outcome, and an audit counts once."""

    ledger: AuditLedger
    turns: Turns

    async def __call__(self, audit: Audit, cached: Told, fresh: Told, *, counts: bool) -> Finding:
        """The finding on *audit*, whose outcome is still open; *counts* where it is of the release counted here."""
        comparison = await self.turns.run(partial(compare, cached, fresh))
        found = replace(audit, outcome=comparison.outcome)
        log.info(
            "hit_audited",
            audit_id=found.id,
            tenant_id=found.tenant,
            entry_id=found.entry_id,
            outcome=found.outcome.value,
            reason=comparison.reason.value,
        )
        return Finding(found, comparison.reason, self._count(found) if counts else None)

    def _count(self, audit: Audit) -> FalseHits:
        # At once, not when it comes back from the log: the next audit of the scope tells its rate with this one in it.
        self.ledger.add(audit)
        return self.ledger.hits_in(audit.scope_key, audit.tenant, audit.tier)
