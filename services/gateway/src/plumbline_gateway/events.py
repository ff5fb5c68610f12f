"""Kafka out: what was served, told in the background."""

import asyncio
import uuid

import structlog
from opentelemetry.metrics import Counter

from plumbline.cache.v1.cache_events_pb2 import AuditedHit, AuditRequested
from plumbline.gateway.v1.gateway_events_pb2 import AnswerServed, ServedHit
from plumbline_contracts.topics import ANSWER_SERVED, AUDIT_REQUESTED
from plumbline_gateway.domain import Caller, Completed, Hit, Reanswered
from plumbline_gateway.translation import (
    ORIGINS_TO_PROTO,
    TIERS_TO_PROTO,
    answer_to_proto,
    condensation_to_proto,
    release_to_proto,
    saving_to_proto,
)
from plumbline_guards.stored import FindingsIn, Redaction, is_redacted, redact, texts_of
from plumbline_kit.bus.messages import Publisher
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, PlumblineError

log = structlog.get_logger()

AUDIT_IDS = uuid.UUID("8c0de7a1-3b0f-5c0e-9a3f-1de0a6b7c2f4")


class BackgroundAnnouncer:
    """`Announcer` that never makes a caller wait: at most *limit* facts are on their way, the rest is lost and said so.

    Runs beside the server so that stopping waits for the facts on their way.
    """

    def __init__(
        self, publisher: Publisher, clock: Clock, *, limit: int, lost: Counter, findings_in: FindingsIn | None = None
    ) -> None:
        """*findings_in* tells what is redacted in a fact before it is published; without it, nothing is."""
        self._publisher = publisher
        self._findings_in = findings_in
        self._clock = clock
        self._limit = limit
        self._lost = lost
        self._on_their_way: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def served(self, answer: Completed, caller: Caller) -> None:
        """See `Announcer`."""
        if len(self._on_their_way) >= self._limit:
            self._lose(answer.answer_id, "too many facts are on their way")
            return
        task = asyncio.create_task(self._publish(answer, caller))
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)

    async def run(self) -> None:
        """Return once stopped."""
        await self._stopping.wait()

    async def stop(self) -> None:
        """Return when every fact has arrived or is lost."""
        await asyncio.gather(*self._on_their_way)
        self._stopping.set()

    async def _publish(self, answer: Completed, caller: Caller) -> None:
        try:
            await self._publisher.publish(ANSWER_SERVED, answer.answer_id, self._fact(answer, caller))
        except PlumblineError as error:
            self._lose(answer.answer_id, str(error))

    def _lose(self, answer_id: str, reason: str) -> None:
        self._lost.add(1)
        log.warning("answer_served_lost", answer_id=answer_id, reason=reason)

    def _fact(self, served: Completed, caller: Caller) -> AnswerServed:
        fact = AnswerServed(
            answer_id=served.answer_id,
            tenant_id=caller.tenant,
            groups=caller.groups,
            release=release_to_proto(served.release),
            question=served.asked.text,
            answer=answer_to_proto(served.result.answer),
            origin=ORIGINS_TO_PROTO[served.result.origin],
            cached_answer_id=served.result.cached_answer_id,
            coalesced_with=served.result.coalesced_with,
            condensation=condensation_to_proto(served.asked.condensation),
        )
        if isinstance(served.result, Hit):
            fact.hit.CopyFrom(_hit(served.result))
            fact.saved.CopyFrom(saving_to_proto(served.result.saving))
        fact.total_time.FromNanoseconds(round(served.total_seconds * 1e9))
        fact.serve_time.FromDatetime(self._clock.now())
        if self._findings_in:
            redact(fact, self._findings_in)
            if fact.HasField("hit"):
                stored = fact.hit.stored_question
                fact.hit.stored_question = Redaction([stored], self._findings_in).asked(stored)
        return fact


def _hit(hit: Hit) -> ServedHit:
    return ServedHit(
        entry_id=hit.entry_id,
        tier=TIERS_TO_PROTO[hit.tier],
        similarity=hit.similarity,
        stored_question=hit.question,
    )


class BusAudits:
    """`AuditLog` on the event log. The event id is the served answer's, so that telling twice is telling once."""

    def __init__(self, publisher: Publisher, findings_in: FindingsIn | None = None) -> None:
        """*findings_in* tells what may not be kept; without it, everything may."""
        self._publisher = publisher
        self._findings_in = findings_in

    async def reanswered(self, both: Reanswered) -> None:
        """See `AuditLog`."""
        fact = _audit_requested(both)
        asked = [fact.question, fact.hit.stored_question]
        told = [*texts_of(fact.cached_answer), *texts_of(fact.fresh_answer)]
        if self._findings_in and is_redacted(asked, told, self._findings_in):
            raise Invalid("it holds what would be redacted: placeholders cannot be compared")
        await self._publisher.publish(AUDIT_REQUESTED, both.caller.tenant, fact, event_id=fact.audit_id)


def _audit_requested(both: Reanswered) -> AuditRequested:
    hit = both.hit
    fact = AuditRequested(
        audit_id=str(uuid.uuid5(AUDIT_IDS, both.served_answer_id)),
        tenant_id=both.caller.tenant,
        groups=both.caller.groups,
        release=release_to_proto(both.release),
        question=both.question,
        served_answer_id=both.served_answer_id,
        hit=AuditedHit(
            entry_id=hit.entry_id,
            answer_id=hit.cached_answer_id,
            tier=TIERS_TO_PROTO[hit.tier],
            similarity=hit.similarity,
            stored_question=hit.question,
            withheld=both.withheld,
            scope_key=hit.scope_key,
        ),
        cached_answer=answer_to_proto(hit.answer),
        fresh_answer_id=both.fresh_answer_id,
        fresh_answer=answer_to_proto(both.fresh),
    )
    fact.request_time.FromDatetime(both.time)
    return fact
