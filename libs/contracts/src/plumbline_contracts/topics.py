"""Every topic, once: its name, the one message it carries, its key, and how long it keeps what it carries."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from plumbline.cache.v1.cache_events_pb2 import (
    AuditRequested,
    EntryInvalidated,
    HitAudited,
    InvalidationRequested,
)
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.gateway.v1.gateway_events_pb2 import AnswerServed
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline.retrieval.v1.retrieval_events_pb2 import (
    DocumentChanged,
    DocumentRejected,
    DocumentSubmitted,
    FactRecorded,
    SourceConfirmed,
    SourceRegistered,
)

M = TypeVar("M", bound=Message)

MAX_MESSAGE_BYTES: Final = 4_000_000
"""Largest record of any topic: a document of 1,000,000 bytes and its framing fit with room to spare."""


@dataclass(frozen=True, slots=True)
class Topic(Generic[M]):
    """One topic. Its records carry *message*, or nothing where the topic is compacted (a tombstone)."""

    name: str
    message: type[M]
    key: str
    """What the key is made of, in words; records of one key stay in order."""
    partitions: int
    """In production; fixed for ever where the topic is compacted, because a document's version is its offset."""
    retention: timedelta | None = timedelta(days=30)
    """None keeps everything."""
    compacted: bool = False
    foreign: bool = False
    """Whether others fill it with what is no contract of ours: *message* is a `BytesValue` of the body as it lies."""

    @property
    def event_type(self) -> str:
        """The CloudEvents type: the message's full name."""
        return str(self.message.DESCRIPTOR.full_name)

    def dead_letters(self, group: str) -> str:
        """Name of the topic that takes what the consumer *group* could not use."""
        return f"{self.name}.{group}.dlq"


DOCUMENT_SUBMITTED: Final = Topic(
    "plumbline.retrieval.document-submitted.v1",
    DocumentSubmitted,
    "tenant/document",
    64,
    retention=None,
    compacted=True,
)
DOCUMENT_CHANGED: Final = Topic("plumbline.retrieval.document-changed.v1", DocumentChanged, "tenant/document", 64)
DOCUMENT_REJECTED: Final = Topic("plumbline.retrieval.document-rejected.v1", DocumentRejected, "tenant/document", 8)
SOURCE_REGISTERED: Final = Topic(
    "plumbline.retrieval.source-registered.v1", SourceRegistered, "tenant/source", 4, retention=None, compacted=True
)
SOURCE_CONFIRMED: Final = Topic(
    "plumbline.retrieval.source-confirmed.v1", SourceConfirmed, "tenant/source", 4, retention=None, compacted=True
)
FACT_RECORDED: Final = Topic(
    "plumbline.retrieval.fact-recorded.v1", FactRecorded, "tenant/document", 16, retention=None, compacted=True
)
ANSWER_GENERATED: Final = Topic("plumbline.generation.answer-generated.v1", AnswerGenerated, "answer id", 64)
ANSWER_SERVED: Final = Topic("plumbline.gateway.answer-served.v1", AnswerServed, "answer id", 64)
EVALUATION_COMPLETED: Final = Topic(
    "plumbline.evaluation.evaluation-completed.v1", EvaluationCompleted, "answer id", 64
)
INVALIDATION_REQUESTED: Final = Topic(  # kept as long as evaluations, or what was dropped would come back
    "plumbline.cache.invalidation-requested.v1", InvalidationRequested, "tenant", 16
)
ENTRY_INVALIDATED: Final = Topic("plumbline.cache.entry-invalidated.v1", EntryInvalidated, "tenant/entry", 16)
AUDIT_REQUESTED: Final = Topic(
    "plumbline.cache.audit-requested.v1", AuditRequested, "tenant", 16, retention=timedelta(days=7)
)
HIT_AUDITED: Final = Topic("plumbline.cache.hit-audited.v1", HitAudited, "tenant", 16)

TOPICS: Final[tuple[Topic[Message], ...]] = (
    DOCUMENT_SUBMITTED,  # type: ignore[assignment]  # Topic is invariant in M; readers of the table only read
    DOCUMENT_CHANGED,
    DOCUMENT_REJECTED,
    SOURCE_REGISTERED,
    SOURCE_CONFIRMED,
    FACT_RECORDED,
    ANSWER_GENERATED,
    ANSWER_SERVED,
    EVALUATION_COMPLETED,
    INVALIDATION_REQUESTED,
    ENTRY_INVALIDATED,
    AUDIT_REQUESTED,
    HIT_AUDITED,
)


def tenant_key(tenant_id: str, thing_id: str) -> str:
    """The key of a fact about one thing of one tenant."""
    return f"{tenant_id}/{thing_id}"
