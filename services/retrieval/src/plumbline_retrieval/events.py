"""Kafka in and out: the corpus comes back record by record, changes and rejections go."""

import uuid
from dataclasses import dataclass
from typing import Final

from plumbline.retrieval.v1 import retrieval_events_pb2 as events
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentSubmitted
from plumbline_contracts.topics import DOCUMENT_CHANGED, DOCUMENT_REJECTED, DOCUMENT_SUBMITTED
from plumbline_kit.bus import Publisher, Received, Subscription
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_kit.telemetry import annotate, names
from plumbline_retrieval.domain.document import Document, DocumentKey, Head
from plumbline_retrieval.handlers.index import IndexDocument

_NAMESPACE: Final = uuid.UUID("1d6c9b0e-52f4-5a61-a3c7-0b9a2f4c7d15")


@dataclass(frozen=True)
class CorpusEvents:
    """The listening side."""

    index: IndexDocument

    def subscription(self) -> Subscription[DocumentSubmitted]:
        """What to consume."""
        return Subscription(DOCUMENT_SUBMITTED, self.document_submitted)

    async def document_submitted(self, record: Received[DocumentSubmitted]) -> None:
        """Index the version that *record* is. Raises `Invalid` for a record that belongs to no document."""
        key = _key(record)
        position = record.position
        annotate({names.TENANT_ID: key.tenant, names.DOCUMENT_ID: key.document_id})
        annotate({names.DOCUMENT_VERSION: position.offset})
        log_part = f"{record.topic.name}[{position.partition}]"
        await self.index(key, position.offset, _document(key, record.body), log_part)


@dataclass(frozen=True)
class BusCorpus:
    """`Corpus` on the compacted topic."""

    publisher: Publisher
    clock: Clock

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        """See `Corpus`."""
        body = None if document is None else self._body(key, document)
        return (await self.publisher.publish(DOCUMENT_SUBMITTED, str(key), body)).offset

    def _body(self, key: DocumentKey, document: Document) -> DocumentSubmitted:
        submitted = DocumentSubmitted(
            tenant_id=key.tenant,
            document=pb.Document(
                document_id=document.document_id,
                title=document.title,
                text=document.text,
                url=document.url,
                groups=document.groups,
            ),
        )
        submitted.submit_time.FromDatetime(self.clock.now())
        return submitted


@dataclass(frozen=True)
class BusAnnouncer:
    """`Announcer` on the event topics."""

    publisher: Publisher

    async def document_changed(self, head: Head) -> None:
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


def _event_id(kind: str, key: DocumentKey, version: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{key}/{version}"))


def _key(record: Received[DocumentSubmitted]) -> DocumentKey:
    tenant, _, document_id = record.key.partition("/")
    if not tenant or not document_id:
        raise Invalid(f"the key {record.key[:100]!r} is not tenant/document")
    body = record.body
    if body is not None and (body.tenant_id, body.document.document_id) != (tenant, document_id):
        raise Invalid(f"the key {record.key[:100]!r} and the document inside do not belong together")
    return DocumentKey(tenant, document_id)


def _document(key: DocumentKey, body: DocumentSubmitted | None) -> Document | Invalid | None:
    if body is None:
        return None
    submitted = body.document
    groups = tuple(sorted(set(submitted.groups)))
    try:
        return Document(key.document_id, submitted.title, submitted.text, submitted.url, groups)
    except Invalid as error:
        return error
