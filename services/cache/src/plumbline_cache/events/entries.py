"""Kafka in and out: evaluated answers and changed documents come, dropped entries go."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline.common.v1 import answer_pb2 as common
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.evaluation.v1.evaluation_service_pb2 import VERDICT_PASSED
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline.generation.v1.generation_service_pb2 import GenerationRecord
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.domain.entry import Cost, Saving, Scope, Source, language_of, require_question
from plumbline_cache.domain.freshness import Cause, Change, Notice
from plumbline_cache.events.additions import AdditionReader
from plumbline_cache.handlers.admit import AdmitAnswer, Admitted
from plumbline_cache.handlers.invalidate import FollowChange
from plumbline_cache.handlers.revalidate import MarkEntries
from plumbline_contracts.topics import DOCUMENT_CHANGED, ENTRY_INVALIDATED, EVALUATION_COMPLETED, M, tenant_key
from plumbline_kit.bus.messages import Publisher, Received, Subscription
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry import annotate, meter, names, tracer

_CAUSES: Final = {
    Cause.SOURCE_CHANGED: pb.INVALIDATION_CAUSE_SOURCE_CHANGED,
    Cause.SOURCE_DELETED: pb.INVALIDATION_CAUSE_SOURCE_DELETED,
    Cause.BY_HAND: pb.INVALIDATION_CAUSE_BY_HAND,
    Cause.RELEASE: pb.INVALIDATION_CAUSE_RELEASE,
    Cause.ERASED: pb.INVALIDATION_CAUSE_ERASED,
    Cause.EXPIRED: pb.INVALIDATION_CAUSE_EXPIRED,
    Cause.EVICTED: pb.INVALIDATION_CAUSE_EVICTED,
    Cause.AUDITED: pb.INVALIDATION_CAUSE_AUDITED,
}


def group_of(generation: str) -> str:
    """The consumer group of one generation of one replica: a new one hears everything from the first event."""
    return f"cache-{generation}"


class CacheEvents:
    """What the cache listens to."""

    def __init__(self, admit: AdmitAnswer, follow: FollowChange, mark: MarkEntries, additions: AdditionReader) -> None:
        self._admit = admit
        self._follow = follow
        self._mark = mark
        self._additions = additions
        self._admissions = meter().create_counter(
            names.CACHE_ADMISSIONS, description="Evaluated answers by why they were refused; empty: admitted."
        )

    def subscriptions(self) -> tuple[Subscription[Any], ...]:
        """For the consumer."""
        return (
            Subscription(EVALUATION_COMPLETED, self._evaluation_completed),
            Subscription(DOCUMENT_CHANGED, self._document_changed),
        )

    async def _evaluation_completed(self, received: Received[EvaluationCompleted]) -> None:
        candidate = candidate_of(_body(received))
        with tracer().start_as_current_span("admit answer"):
            outcome = await self._admit(candidate)
            annotate(_attributes(candidate, outcome))
        refusal = outcome.value if isinstance(outcome, Refusal) else ""
        self._admissions.add(1, {names.CACHE_REFUSAL: refusal})

    async def _document_changed(self, received: Received[DocumentChanged]) -> None:
        event = _body(received)
        await self._follow(_change(event))
        # Afterwards: vectors that cannot be read must not keep the floor from being raised.
        await self._mark(self._additions.added(received, event))


class BusAnnouncer:
    """`Announcer` on the event log. The event id is the notice's, so that telling twice is telling once."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def entry_invalidated(self, notice: Notice) -> None:
        """See `Announcer`."""
        key = tenant_key(notice.tenant, notice.entry_id)
        await self._publisher.publish(ENTRY_INVALIDATED, key, _fact(notice), event_id=notice.id)


def _body(received: Received[M]) -> M:
    if received.body is None:
        raise Invalid(f"{received.topic.name} is not compacted: a record without a body says nothing")
    return received.body


def candidate_of(event: EvaluationCompleted) -> Candidate:
    """The answer that was evaluated. Raises `Invalid` for one of nobody, or to no question."""
    subject = event.subject
    if not (subject.tenant_id and subject.answer_id):
        raise Invalid("an evaluation without tenant or answer id belongs to nobody")
    require_question(subject.question)
    return Candidate(
        scope=_scope(subject),
        question=subject.question,
        answer=subject.answer.SerializeToString(),
        answer_id=subject.answer_id,
        sources=tuple(_source(passage.ref) for passage in subject.answer.sources),
        generate_time=subject.generate_time.ToDatetime(tzinfo=UTC),
        evaluation_id=event.evaluation_id,
        passed=event.evaluation.verdict == VERDICT_PASSED,
        answered=subject.answer.outcome == common.ANSWER_OUTCOME_ANSWERED,
        of_unknown_conversation=_was_changed(subject) and not subject.condensation.conversation,
        redacted=bool(subject.record.redacted),
        structured=subject.record.HasField("structured"),
        saving=_saving(subject.record),
        least_similarity=_least_similarity(subject.answer.sources),
    )


def _scope(subject: AnswerGenerated) -> Scope:
    release, language = subject.release, language_of(subject.question)
    conversation = subject.condensation.conversation if _was_changed(subject) else ""
    who = (subject.tenant_id, tuple(subject.groups), release.application_id, release.release_id)
    return Scope(*who, language, conversation)


def _saving(record: GenerationRecord) -> Saving:
    costs = [record.cost, *record.further_costs] if record.HasField("cost") else record.further_costs
    return Saving(
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        seconds=record.total_time.ToTimedelta().total_seconds(),
        costs=tuple(Cost(cost.currency_code, cost.amount) for cost in costs),
    )


def _least_similarity(sources: Sequence[common.Passage]) -> float | None:
    known = [source.similarity for source in sources if source.HasField("similarity")]
    return min(known) if known and len(known) == len(sources) else None


def _was_changed(subject: AnswerGenerated) -> bool:
    unchanged = subject.condensation.method == common.CONDENSATION_METHOD_UNCHANGED
    return subject.HasField("condensation") and not unchanged


def _source(ref: common.PassageRef) -> Source:
    return Source(ref.document_id, ref.version, ref.passage_hash)


def _change(event: DocumentChanged) -> Change:
    return Change(
        tenant=event.tenant_id,
        document=event.document_id,
        old_version=event.old_version,
        new_version=event.new_version,
        deleted=event.deleted,
        kept=frozenset(event.kept_passage_hashes),
    )


def _fact(notice: Notice) -> pb.EntryInvalidated:
    fact = pb.EntryInvalidated(
        tenant_id=notice.tenant,
        entry_id=notice.entry_id,
        answer_id=notice.answer_id,
        question=notice.question,
        release=common.ReleaseRef(application_id=notice.application, release_id=notice.release),
        cause=_CAUSES[notice.cause],
        document_id=notice.document,
        document_version=notice.version,
        invalidation_id=notice.withdrawal,
    )
    fact.invalidate_time.FromDatetime(notice.time)
    return fact


def _attributes(candidate: Candidate, outcome: Admitted | Refusal) -> dict[str, str]:
    about = {names.ANSWER_ID: candidate.answer_id}
    if isinstance(outcome, Refusal):
        return {**about, names.CACHE_REFUSAL: outcome.value}
    return {**about, names.CACHE_ENTRY_ID: outcome.entry_id}
