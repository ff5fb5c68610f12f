"""Audits beside the answering: begun when an answer was served, bounded, and given up before any caller waits."""

import asyncio

import structlog
from opentelemetry.metrics import Counter

from plumbline_gateway.domain import Caller, Completed, Hit, Tier
from plumbline_gateway.handlers import Allowance, AuditHit
from plumbline_gateway.ports import Announcer
from plumbline_kit.errors import PlumblineError
from plumbline_kit.rpc import outlive
from plumbline_kit.sampling import is_sampled
from plumbline_kit.telemetry import names, tracer

log = structlog.get_logger()

EXACT_PART = 0.1
"""Of the share of semantic hits: an exact one was asked the same, and tells what the comparison itself calls false."""


class BackgroundAudits:
    """`Announcer` that audits a share of hits, as the caller who was answered and with that caller's token.

    Runs beside the server: stopping ends what is under way, for an audit that is lost is only one less.
    """

    def __init__(
        self, audit: AuditHit, allowance: Allowance, *, share: float, at_once: int, seconds: float, audits: Counter
    ) -> None:
        """*share* of semantic hits, in [0, 1]; *seconds* is what one audit may take."""
        self._audit = audit
        self._allowance = allowance
        self._share = share
        self._at_once = at_once
        self._seconds = seconds
        self._audits = audits
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def served(self, answer: Completed, caller: Caller) -> None:
        """See `Announcer`."""
        if not self._is_chosen(answer):
            return
        if len(self._under_way) >= self._at_once or not self._allowance.take():
            self._audits.add(1, {names.AUDIT_OUTCOME: "shed"})
            return
        task = asyncio.create_task(self._run(answer, caller))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def run(self) -> None:
        """Return once stopped."""
        await self._stopping.wait()

    async def stop(self) -> None:
        """End what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._stopping.set()

    def _is_chosen(self, answer: Completed) -> bool:
        result = answer.result
        if not isinstance(result, Hit):
            # Answered afresh anyway: comparing costs nothing more. Once is enough where several waited for one answer.
            return result.withheld is not None and not result.coalesced_with
        return is_sampled(answer.answer_id, self._share * (EXACT_PART if result.tier is Tier.EXACT else 1.0))

    async def _run(self, answer: Completed, caller: Caller) -> None:
        outlive(self._seconds)
        outcome = "told"
        with tracer().start_as_current_span("audit hit"):
            try:
                async with asyncio.timeout(self._seconds):
                    await self._audit(answer, caller)
            except (PlumblineError, TimeoutError) as error:
                outcome = "failed"
                log.info("hit_not_audited", answer_id=answer.answer_id, reason=str(error) or "it took too long")
        self._audits.add(1, {names.AUDIT_OUTCOME: outcome})


class Announcers:
    """`Announcer` that tells several."""

    def __init__(self, *announcers: Announcer) -> None:
        self._announcers = announcers

    def served(self, answer: Completed, caller: Caller) -> None:
        """See `Announcer`."""
        for announcer in self._announcers:
            announcer.served(answer, caller)
