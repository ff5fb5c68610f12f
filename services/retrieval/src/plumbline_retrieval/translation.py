"""Protobuf messages as the domain's values, and back: used by both ways in and out."""

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from plumbline.common.v1 import answer_pb2 as common
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.document import Document, Found, PassageRef
from plumbline_retrieval.domain.fact import Fact
from plumbline_retrieval.domain.head import NO_VERSION, State, Step
from plumbline_retrieval.domain.query import DEFAULT_PASSAGES, Filter, Query
from plumbline_retrieval.domain.source import DEFAULT_SOURCE, Freshness, Source, Trust
from plumbline_retrieval.handlers.documents import Status

STATES: Final = {
    State.LIVE: pb.DOCUMENT_STATE_LIVE,
    State.DELETED: pb.DOCUMENT_STATE_DELETED,
    State.REJECTED: pb.DOCUMENT_STATE_REJECTED,
}
FRESHNESS: Final = {
    Freshness.CURRENT: common.FRESHNESS_CURRENT,
    Freshness.STALE: common.FRESHNESS_STALE,
    Freshness.SUPERSEDED: common.FRESHNESS_SUPERSEDED,
}
TRUST: Final = {
    Trust.LOW: common.SOURCE_TRUST_LOW,
    Trust.MEDIUM: common.SOURCE_TRUST_MEDIUM,
    Trust.HIGH: common.SOURCE_TRUST_HIGH,
}
LAYOUTS: Final = {
    Layout.PROSE: pb.DOCUMENT_LAYOUT_UNSPECIFIED,
    Layout.RECORDS: pb.DOCUMENT_LAYOUT_RECORDS,
}


def document_from(message: pb.Document) -> Document:
    """Raises `Invalid`."""
    return Document(
        message.document_id,
        message.title,
        message.text,
        message.url,
        tuple(sorted(set(message.groups))),
        message.source_id or DEFAULT_SOURCE,
        tuple(sorted(message.metadata.items())),
        message.language,
        moment_from(message, "content_time"),
        Layout.RECORDS if message.layout == pb.DOCUMENT_LAYOUT_RECORDS else Layout.PROSE,
    )


def document_message(document: Document) -> pb.Document:
    """The same, back."""
    message = pb.Document(
        document_id=document.document_id,
        title=document.title,
        text=document.text,
        url=document.url,
        groups=document.groups,
        source_id=document.source_id,
        metadata=dict(document.metadata),
        language=document.language,
        layout=LAYOUTS[document.layout],
    )
    if document.content_time is not None:
        message.content_time.FromDatetime(document.content_time)
    return message


def fact_from(message: pb.Fact, now: datetime) -> Fact:
    """Raises `Invalid`."""
    return Fact(
        message.subject,
        message.attribute,
        message.value,
        moment_from(message, "valid_from_time") or now,
        message.unit,
        message.source_id or DEFAULT_SOURCE,
        tuple(sorted(set(message.groups))),
        message.url,
        message.retracted,
    )


def fact_message(fact: Fact) -> pb.Fact:
    """The same, back."""
    return pb.Fact(
        subject=fact.subject,
        attribute=fact.attribute,
        value=fact.value,
        unit=fact.unit,
        valid_from_time=timestamp(fact.since),
        source_id=fact.source_id,
        groups=fact.groups,
        url=fact.url,
    )


def source_from(message: pb.Source) -> Source:
    """Raises `Invalid`."""
    return Source(
        message.source_id,
        message.name,
        message.owner,
        message.kind,
        _trust("source.trust", message.trust, Trust.MEDIUM),
        _length(message, "refresh_interval"),
        _length(message, "retention"),
        message.license,
    )


def source_message(source: Source) -> pb.Source:
    """The same, back."""
    message = pb.Source(
        source_id=source.source_id,
        name=source.name,
        owner=source.owner,
        kind=source.kind,
        trust=pb.TrustLevel.Name(int(source.trust)),  # type: ignore[arg-type]  # the stub wants its own integer
        license=source.license,
    )
    if source.refresh_interval is not None:
        message.refresh_interval.FromTimedelta(source.refresh_interval)
    if source.retention is not None:
        message.retention.FromTimedelta(source.retention)
    if source.confirmed_at is not None:
        message.as_of_time.FromDatetime(source.confirmed_at)
    return message


def query_from(request: pb.SearchPassagesRequest) -> Query:
    """Raises `Invalid`."""
    wanted = request.filter
    return Query(
        request.query,
        request.page_size or DEFAULT_PASSAGES,
        tuple(request.more_queries),
        Filter(
            tuple(wanted.source_ids),
            tuple(wanted.languages),
            tuple(sorted(wanted.metadata.items())),
            moment_from(wanted, "from_time"),
            moment_from(wanted, "to_time"),
            _trust("filter.minimum_trust", wanted.minimum_trust, Trust.LOW),
        ),
        request.neighbours,
        request.diversity,
        request.rerank,
    )


def status_message(status: Status) -> pb.DocumentStatus:
    """What is known of a document."""
    head = status.head
    message = pb.DocumentStatus(
        document_id=head.key.document_id,
        version=head.version,
        state=STATES[head.state],
        title=head.live.title,
        passage_count=len(head.live.passage_hashes),
        index_time=timestamp(head.time),
        reason=head.reason,
        source_id=head.source_id,
        history=[_step_message(step) for step in head.history],
        duplicate_ids=status.duplicate_ids,
        near_duplicates=[
            pb.NearDuplicate(document_id=each.document_id, similarity=each.similarity) for each in status.near
        ],
    )
    if head.live.version != NO_VERSION:
        message.as_of_time.FromDatetime(status.as_of)
        message.freshness = FRESHNESS[status.freshness]
    return message


def ref_message(ref: PassageRef) -> common.PassageRef:
    """Where a passage lies."""
    return common.PassageRef(document_id=ref.document_id, version=ref.version, passage_hash=ref.passage_hash)


def passage_message(found: Found) -> common.Passage:
    """A passage with all that a reader needs."""
    passage = found.passage
    return common.Passage(
        ref=ref_message(found.ref),
        title=found.title,
        url=found.url,
        text=passage.text,
        start_offset=passage.start,
        end_offset=passage.end,
        score=found.score,
        title_path=passage.title_path,
        page=passage.page,
        source_id=found.source_id,
        as_of_time=timestamp(found.as_of or found.submitted_at),
        freshness=FRESHNESS[found.freshness],
        trust=TRUST[found.trust],
        similarity=found.similarity,
        preceding_text=found.preceding,
        following_text=found.following,
    )


def timestamp(moment: datetime) -> Timestamp:
    """A moment as protobuf has it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _step_message(step: Step) -> pb.DocumentVersion:
    return pb.DocumentVersion(
        version=step.version,
        state=STATES[step.state],
        index_time=timestamp(step.time),
        added_passages=step.added,
        removed_passages=step.removed,
        reason=step.reason,
    )


def _trust(field: str, level: int, default: Trust) -> Trust:
    if level == pb.TRUST_LEVEL_UNSPECIFIED:
        return default
    try:
        return Trust(level)
    except ValueError as error:
        raise Invalid.field(field, f"is {level}, which is no level that is known here") from error


def moment_from(message: Message, field: str) -> datetime | None:
    """The time in *field*, None where it is absent. Raises `Invalid` for one that no calendar has."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid.field(field, "is not a time between the years 1 and 9999") from error


def _length(message: Message, field: str) -> timedelta | None:
    if not message.HasField(field):
        return None
    value: Duration = getattr(message, field)
    try:
        return value.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise Invalid.field(field, "is not a length of time") from error
