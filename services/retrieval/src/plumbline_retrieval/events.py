"""Kafka in and out: the corpus comes back record by record, changes and rejections go."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from google.protobuf.wrappers_pb2 import BytesValue

from plumbline.retrieval.v1 import retrieval_events_pb2 as events
from plumbline.retrieval.v1.retrieval_events_pb2 import (
    DocumentSubmitted,
    FactRecorded,
    SourceConfirmed,
    SourceRegistered,
)
from plumbline_contracts.topics import (
    DOCUMENT_CHANGED,
    DOCUMENT_REJECTED,
    DOCUMENT_SUBMITTED,
    FACT_RECORDED,
    SOURCE_CONFIRMED,
    SOURCE_REGISTERED,
    Topic,
    tenant_key,
)
from plumbline_kit.bus import Publisher, Received, Subscription
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry import annotate, names
from plumbline_retrieval.domain.document import FACTS, Document, DocumentKey
from plumbline_retrieval.domain.fact import Fact
from plumbline_retrieval.domain.head import Head
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.handlers.documents import Acceptance
from plumbline_retrieval.handlers.index import IndexDocument, Submission
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.ports import Announcer, ChangeReader, Sources, Vector
from plumbline_retrieval.translation import (
    document_from,
    document_message,
    fact_from,
    fact_message,
    moment_from,
    source_from,
    source_message,
    timestamp,
)

MAX_TOLD_VECTORS: Final = 4_000
"""Of added passages: 1.5 MB beside the hashes, with 384 numbers each. A document of 1 MB has some 1,000."""

_NAMESPACE: Final = uuid.UUID("1d6c9b0e-52f4-5a61-a3c7-0b9a2f4c7d15")


@dataclass(frozen=True)
class CorpusEvents:
    """The listening side: documents and facts."""

    index: IndexDocument

    def subscriptions(self) -> list[Subscription[Any]]:
        """What to consume."""
        return [
            Subscription(DOCUMENT_SUBMITTED, self.document_submitted),
            Subscription(FACT_RECORDED, self.fact_recorded),
        ]

    async def document_submitted(self, record: Received[DocumentSubmitted]) -> None:
        """Index the version that *record* is. Raises `Invalid` for a record that belongs to no document."""
        body = record.body
        key = _key(record, body and (body.tenant_id, body.document.document_id), of_facts=False)
        groups = () if body is None else tuple(body.document.groups)
        await self._index(key, record, body and _document(body), groups)

    async def fact_recorded(self, record: Received[FactRecorded]) -> None:
        """The same for the document that the fact becomes."""
        body = record.body
        key = _key(record, body and (body.tenant_id, body.document_id), of_facts=True)
        groups = () if body is None else tuple(body.fact.groups)
        await self._index(key, record, body and _fact_document(body, record.event_time), groups)

    async def _index(
        self, key: DocumentKey, record: Received[Any], document: Document | Invalid | None, groups: tuple[str, ...]
    ) -> None:
        position = record.position
        annotate({names.TENANT_ID: key.tenant, names.DOCUMENT_ID: key.document_id})
        annotate({names.DOCUMENT_VERSION: position.offset})
        log_part = f"{record.topic.name}[{position.partition}]"
        await self.index(Submission(key, position.offset, document, record.event_time, log_part, groups))


@dataclass(frozen=True)
class RegistryEvents:
    """The listening side: sources."""

    sources: Sources

    def subscriptions(self) -> list[Subscription[Any]]:
        """What to consume."""
        return [
            Subscription(SOURCE_REGISTERED, self.source_registered),
            Subscription(SOURCE_CONFIRMED, self.source_confirmed),
        ]

    async def source_registered(self, record: Received[SourceRegistered]) -> None:
        """Store it. Raises `Invalid` for what is no source."""
        if record.body is None:
            raise Invalid("a source cannot be taken back: the documents that name it would be nobody's")
        await self.sources.put_source(record.body.tenant_id, source_from(record.body.source))

    async def source_confirmed(self, record: Received[SourceConfirmed]) -> None:
        """Store it."""
        if record.body is None:
            raise Invalid("a confirmation cannot be taken back")
        body = record.body
        await self.sources.confirm_source(
            body.tenant_id, body.source_id, moment_from(body, "confirm_time") or record.event_time
        )


@dataclass(frozen=True)
class ChangeEvents:
    """The listening side: a foreign topic of change records, each of which becomes a version of a document.

    A record that comes again makes another version with the same passages, which changes nothing for anybody.
    """

    topic: str
    tenant: str
    changes: ChangeReader
    acceptance: Acceptance

    def subscription(self) -> Subscription[Any]:
        """What to consume."""
        return Subscription(Topic(self.topic, BytesValue, "a row", partitions=1, foreign=True), self.row_changed)

    async def row_changed(self, record: Received[BytesValue]) -> None:
        """Put what the row is now into the corpus. Raises `Invalid` for what is no change of a row."""
        value = None if record.body is None else record.body.value
        for document_id, document in self.changes.documents(value, record.key.encode() or None):
            annotate({names.TENANT_ID: self.tenant, names.DOCUMENT_ID: document_id})
            await self.acceptance.accept(DocumentKey(self.tenant, document_id), document)


@dataclass(frozen=True)
class BusCorpus:
    """`Corpus` on the compacted topics."""

    publisher: Publisher
    clock: Clock

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        """See `Corpus`."""
        body = None if document is None else self._submitted(key, document)
        return (await self.publisher.publish(DOCUMENT_SUBMITTED, str(key), body)).offset

    async def append_fact(self, tenant: str, fact: Fact) -> int:
        """See `Corpus`."""
        body = FactRecorded(
            tenant_id=tenant,
            document_id=fact.document_id,
            fact=fact_message(fact),
            record_time=timestamp(self.clock.now()),
        )
        key = tenant_key(tenant, fact.document_id)
        return (await self.publisher.publish(FACT_RECORDED, key, None if fact.retracted else body)).offset

    async def append_source(self, tenant: str, source: Source) -> None:
        """See `Corpus`."""
        body = SourceRegistered(
            tenant_id=tenant, source=source_message(source), register_time=timestamp(self.clock.now())
        )
        await self.publisher.publish(SOURCE_REGISTERED, tenant_key(tenant, source.source_id), body)

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """See `Corpus`."""
        body = SourceConfirmed(tenant_id=tenant, source_id=source_id, confirm_time=timestamp(at))
        await self.publisher.publish(SOURCE_CONFIRMED, tenant_key(tenant, source_id), body)

    def _submitted(self, key: DocumentKey, document: Document) -> DocumentSubmitted:
        now = timestamp(self.clock.now())
        return DocumentSubmitted(tenant_id=key.tenant, document=document_message(document), submit_time=now)


@dataclass(frozen=True)
class BusAnnouncer:
    """`Announcer` on the event topics."""

    publisher: Publisher
    encoder_id: str
    """What makes the vectors of passages."""

    async def document_changed(self, head: Head, vectors: Mapping[str, Vector]) -> None:
        """See `Announcer`."""
        change = head.change
        if change is None:
            raise ValueError(f"nothing changed {head.key}")
        fact = events.DocumentChanged(
            tenant_id=head.key.tenant,
            document_id=head.key.document_id,
            old_version=change.old_version,
            new_version=change.new_version,
            deleted=change.deleted,
            removed_passage_hashes=change.removed,
            added_passage_hashes=change.added,
            kept_passage_hashes=head.kept_hashes,
            added_vectors=_compact(change.added, vectors),
            added_encoder_id=self.encoder_id,
            groups=head.groups,
        )
        fact.change_time.FromDatetime(change.time)
        await self.publisher.publish(
            DOCUMENT_CHANGED, str(head.key), fact, event_id=_event_id("changed", head.key, change.new_version)
        )

    async def document_rejected(self, head: Head, log_part: str) -> None:
        """See `Announcer`."""
        fact = events.DocumentRejected(
            tenant_id=head.key.tenant,
            document_id=head.key.document_id,
            version=head.version,
            reason=head.reason,
            origin=f"{log_part}@{head.version}",
        )
        fact.reject_time.FromDatetime(head.time)
        event_id = _event_id("rejected", head.key, head.version)
        await self.publisher.publish(DOCUMENT_REJECTED, str(head.key), fact, event_id=event_id)


@dataclass(frozen=True)
class WholeAnnouncer:
    """Tells of changes once its index is whole: before, another one tells, and nothing here is news.

    What this index alone refuses concerns nobody else, and of what is refused by all the other one tells.
    """

    announcer: Announcer
    readiness: Readiness

    async def document_changed(self, head: Head, vectors: Mapping[str, Vector]) -> None:
        """See `Announcer`."""
        if self.readiness.complete:
            await self.announcer.document_changed(head, vectors)

    async def document_rejected(self, head: Head, log_part: str) -> None:
        """See `Announcer`."""


def _compact(hashes: Sequence[str], vectors: Mapping[str, Vector]) -> bytes:
    """One signed byte a number: a cosine comes out within 0.01 of its own (see the contract)."""
    if not hashes or len(hashes) > MAX_TOLD_VECTORS or any(each not in vectors for each in hashes):
        return b""
    rows = np.stack([vectors[each] for each in hashes])
    largest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    directions: bytes = np.rint(rows / largest * 127).astype(np.int8).tobytes()
    return directions


def _event_id(kind: str, key: DocumentKey, version: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{key}/{version}"))


def _key(record: Received[Any], inside: tuple[str, str] | None, *, of_facts: bool) -> DocumentKey:
    """*inside* is what the body says of itself; None without a body.

    Each of the two logs numbers its own versions, so neither may speak of the other's documents.
    """
    tenant, _, document_id = record.key.partition("/")
    if not tenant or not document_id:
        raise Invalid(f"the key {record.key[:100]!r} is not tenant/document")
    if inside is not None and inside != (tenant, document_id):
        raise Invalid(f"the key {record.key[:100]!r} and the document inside do not belong together")
    if document_id.startswith(FACTS) is not of_facts:
        raise Invalid(f"the key {record.key[:100]!r} belongs to the other log: ids of facts begin with {FACTS}")
    return DocumentKey(tenant, document_id)


def _document(body: DocumentSubmitted) -> Document | Invalid:
    try:
        return document_from(body.document)
    except Invalid as error:
        return error


def _fact_document(body: FactRecorded, recorded_at: datetime) -> Document | Invalid:
    try:
        fact = fact_from(body.fact, moment_from(body, "record_time") or recorded_at)
        if fact.document_id != body.document_id:
            raise Invalid(f"the fact belongs under {fact.document_id}, and names {body.document_id}")
        return fact.document()
    except Invalid as error:
        return error
