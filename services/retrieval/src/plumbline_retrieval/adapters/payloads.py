"""Points of the engine as heads, passages and sources, and back."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.document import (
    EVERYBODY,
    Document,
    DocumentKey,
    Found,
    Passage,
    PassageRef,
)
from plumbline_retrieval.domain.head import NO_VERSION, Change, Head, Live, State, Step
from plumbline_retrieval.domain.likeness import bands
from plumbline_retrieval.domain.ranking import PassageId
from plumbline_retrieval.domain.source import Freshness, Source, Trust
from plumbline_retrieval.ports import Read

Payload = dict[str, Any]
Versions = Mapping[str, tuple[int, int]]
"""By document id: its newest version, and the one that readers see."""

_NAMESPACE: Final = uuid.UUID("0c0f3a52-6a0e-5d0c-9a0e-3f5a9f6f1b77")


MARK_ID: Final = str(uuid.uuid5(_NAMESPACE, "mark"))
"""The point that tells collections apart which have the same name one after the other."""
COMPLETE_ID: Final = str(uuid.uuid5(_NAMESPACE, "complete"))
"""The point that says that a generation was whole once."""
SERVING_ID: Final = str(uuid.uuid5(_NAMESPACE, "serving"))
"""The point that says which generation answers, this one or one beside it."""


def head_id(key: DocumentKey) -> str:
    """The point of a document's head."""
    return str(uuid.uuid5(_NAMESPACE, f"head/{key}"))


def passage_id(key: DocumentKey, version: int, ordinal: int) -> str:
    """The point of a passage: the same whenever the same version is indexed again."""
    return str(uuid.uuid5(_NAMESPACE, f"passage/{key}/{version}/{ordinal}"))


def source_id(tenant: str, source: str) -> str:
    """The point of a registered source."""
    return str(uuid.uuid5(_NAMESPACE, f"source/{tenant}/{source}"))


def confirmation_id(tenant: str, source: str) -> str:
    """The point of a source's confirmation: another writer's than that of the source itself."""
    return str(uuid.uuid5(_NAMESPACE, f"confirmation/{tenant}/{source}"))


def audiences(tenant: str, groups: Sequence[str]) -> list[str]:
    """Who *groups* of a tenant are, in one value each: a filter on one field is three times as fast as on two."""
    return [f"{tenant}/{group}" for group in groups]  # a tenant's name holds no slash


def offset_from(token: str) -> str | None:
    """The point that a page begins with, None for the first page. Raises `Invalid`."""
    try:
        return str(uuid.UUID(token)) if token else None
    except ValueError:
        raise Invalid.field("page_token", "is not one that this service gave") from None


def origin(tenant: str, source: str) -> str:
    """A source of a tenant in one value; neither name holds a slash."""
    return f"{tenant}/{source}"


def tag(name: str, value: str) -> str:
    """A name and a value of a document's metadata in one value; a name holds no equals sign."""
    return f"{name}={value}"


def head_payload(head: Head) -> Payload:
    """Everything of *head*."""
    return {
        "tenant": head.key.tenant,
        "document_id": head.key.document_id,
        "version": head.version,
        "state": head.state.value,
        "time": head.time.isoformat(),
        "live_version": head.live.version,
        "title": head.live.title,
        "passage_hashes": list(head.live.passage_hashes),
        "text_hash": head.live.text_hash,
        "submitted_at": head.live.submitted_at.isoformat(),
        "fingerprint": head.live.fingerprint,
        "sketch": head.live.sketch,
        "bands": bands(head.live.sketch),
        "groups": list(head.groups),
        # Who finds it in a list; nobody, once it is deleted.
        "audience": [] if head.state is State.DELETED else audiences(head.key.tenant, head.groups or [EVERYBODY]),
        "source": head.source_id,
        "origin": origin(head.key.tenant, head.source_id),
        "reason": head.reason,
        "change": head.change and _change_payload(head.change),
        "told": head.told,
        "history": [_step_payload(step) for step in head.history],
    }


LIGHT_FIELDS: Final = [
    "tenant",
    "document_id",
    "version",
    "state",
    "time",
    "live_version",
    "title",
    "text_hash",
    "submitted_at",
    "fingerprint",
    "groups",
    "source",
    "reason",
    "told",
]
"""Of a head, without its lists, which may be long."""


def head_from(payload: Payload) -> Head:
    """The head that *payload* was made from; without the lists that *payload* lacks."""
    return Head(
        key=DocumentKey(payload["tenant"], payload["document_id"]),
        version=payload["version"],
        state=State(payload["state"]),
        time=datetime.fromisoformat(payload["time"]),
        live=Live(
            payload["live_version"],
            payload["title"],
            tuple(payload.get("passage_hashes", ())),
            payload["text_hash"],
            datetime.fromisoformat(payload["submitted_at"]),
            payload["fingerprint"],
            payload.get("sketch", ""),
        ),
        groups=tuple(payload["groups"]),
        source_id=payload["source"],
        reason=payload["reason"],
        change=_change_from(payload["change"]) if payload.get("change") else None,
        told=payload["told"],
        history=tuple(_step_from(step) for step in payload.get("history", ())),
    )


def passage_payload(
    key: DocumentKey, version: int, document: Document, passage: Passage, submitted_at: datetime
) -> Payload:
    """Everything that a search needs of *passage*."""
    return {
        "document": str(key),
        "document_id": key.document_id,
        "version": version,
        "audience": audiences(key.tenant, document.groups or [EVERYBODY]),
        "source": document.source_id,
        "language": document.language,
        "tags": [tag(*pair) for pair in document.metadata],
        "time": (document.content_time or submitted_at).timestamp(),
        "submitted_at": submitted_at.timestamp(),
        "title": document.title,
        "url": document.url,
        "text": passage.text,
        "words": passage.words(document.title),
        "hash": passage.hash,
        "ordinal": passage.ordinal,
        "start": passage.start,
        "end": passage.end,
        "title_path": list(passage.title_path),
        "page": passage.page,
    }


def passage_from(payload: Payload) -> Passage:
    """The passage that *payload* was made from."""
    return Passage(
        payload["ordinal"],
        payload["start"],
        payload["end"],
        payload["text"],
        tuple(payload["title_path"]),
        payload["page"],
    )


def found_from(payload: Payload) -> Found:
    """The same as a search finds it."""
    return Found(
        PassageRef(payload["document_id"], payload["version"], payload["hash"]),
        payload["title"],
        payload["url"],
        passage_from(payload),
        payload["source"],
        datetime.fromtimestamp(payload["submitted_at"], UTC),
        payload["words"],
    )


def ids_around(tenant: str, found: Sequence[Found], reach: int) -> list[str]:
    """The points of up to *reach* passages before and after each of *found*."""
    return list(
        {
            passage_id(DocumentKey(tenant, each.ref.document_id), each.ref.version, ordinal): None
            for each in found
            for ordinal in range(max(each.passage.ordinal - reach, 0), each.passage.ordinal + reach + 1)
        }
    )


def read_of(known: Mapping[PassageId, Found], versions: Versions, *, asked: int) -> Read:
    """What *asked* points were, of which *known* are still there, when their documents have these *versions*."""
    live: dict[PassageId, Found] = {}
    changed: set[str] = set()
    for name, each in known.items():
        newest, shown = versions.get(each.ref.document_id, (NO_VERSION, NO_VERSION))
        if shown == each.ref.version:
            live[name] = each if newest == shown else replace(each, freshness=Freshness.SUPERSEDED)
        elif shown != NO_VERSION:
            changed.add(each.ref.document_id)
    seen = {each.ref.document_id for each in live.values()}
    return Read(live, lost=len(known) < asked or not changed <= seen)


def source_payload(tenant: str, source: Source) -> Payload:
    """Everything of *source* but when it was confirmed."""
    return {
        "registry": tenant,
        "source_id": source.source_id,
        "name": source.name,
        "owner": source.owner,
        "kind": source.kind,
        "trust": int(source.trust),
        "refresh_interval": _microseconds(source.refresh_interval),
        "retention": _microseconds(source.retention),
        "license": source.license,
    }


def confirmation_payload(tenant: str, source: str, at: datetime) -> Payload:
    """When *source* was confirmed."""
    return {"registry": tenant, "source_id": source, "confirmed_at": at.isoformat()}


def sources_from(payloads: Sequence[Payload]) -> dict[str, Source]:
    """A tenant's registered sources, each with its confirmation."""
    confirmed = {each["source_id"]: each["confirmed_at"] for each in payloads if "confirmed_at" in each}
    registered = [each for each in payloads if "confirmed_at" not in each]
    return {each["source_id"]: _source_from(each, confirmed.get(each["source_id"])) for each in registered}


def _source_from(payload: Payload, confirmed_at: str | None) -> Source:
    return Source(
        payload["source_id"],
        payload["name"],
        payload["owner"],
        payload["kind"],
        Trust(payload["trust"]),
        _duration(payload["refresh_interval"]),
        _duration(payload["retention"]),
        payload["license"],
        datetime.fromisoformat(confirmed_at) if confirmed_at else None,
    )


def _microseconds(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(microseconds=1)


def _duration(microseconds: int | None) -> timedelta | None:
    return None if microseconds is None else timedelta(microseconds=microseconds)


def _change_payload(change: Change) -> Payload:
    return {
        "old_version": change.old_version,
        "new_version": change.new_version,
        "deleted": change.deleted,
        "removed": list(change.removed),
        "added": list(change.added),
        "time": change.time.isoformat(),
    }


def _change_from(payload: Payload) -> Change:
    return Change(
        old_version=payload["old_version"],
        new_version=payload["new_version"],
        deleted=payload["deleted"],
        removed=tuple(payload["removed"]),
        added=tuple(payload["added"]),
        time=datetime.fromisoformat(payload["time"]),
    )


def _step_payload(step: Step) -> list[Any]:
    return [step.version, step.state.value, step.time.isoformat(), step.added, step.removed, step.reason]


def _step_from(payload: Sequence[Any]) -> Step:
    version, state, time, added, removed, reason = payload
    return Step(version, State(state), datetime.fromisoformat(time), added, removed, reason)
