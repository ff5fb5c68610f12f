"""Points of the engine as heads and passages, and back."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from plumbline_retrieval.domain.document import (
    EVERYBODY,
    Change,
    Document,
    DocumentKey,
    Found,
    Head,
    Passage,
    PassageRef,
    State,
)

Payload = dict[str, Any]

_NAMESPACE: Final = uuid.UUID("0c0f3a52-6a0e-5d0c-9a0e-3f5a9f6f1b77")


def head_id(key: DocumentKey) -> str:
    """The point of a document's head."""
    return str(uuid.uuid5(_NAMESPACE, f"head/{key}"))


def passage_id(key: DocumentKey, version: int, ordinal: int) -> str:
    """The point of a passage: the same whenever the same version is indexed again."""
    return str(uuid.uuid5(_NAMESPACE, f"passage/{key}/{version}/{ordinal}"))


def audiences(tenant: str, groups: Sequence[str]) -> list[str]:
    """Who *groups* of a tenant are, in one value each: a filter on one field is three times as fast as on two."""
    return [f"{tenant}/{group}" for group in groups]  # a tenant's name holds no slash


def head_payload(head: Head) -> Payload:
    """Everything of *head*."""
    change = head.change
    return {
        "tenant": head.key.tenant,
        "document_id": head.key.document_id,
        "version": head.version,
        "state": head.state.value,
        "time": head.time.isoformat(),
        "live_version": head.live_version,
        "title": head.title,
        "groups": list(head.groups),
        "passage_hashes": list(head.passage_hashes),
        "reason": head.reason,
        "change": change and _change_payload(change),
        "told": head.told,
    }


def head_from(payload: Payload) -> Head:
    """The head that *payload* was made from."""
    return Head(
        key=DocumentKey(payload["tenant"], payload["document_id"]),
        version=payload["version"],
        state=State(payload["state"]),
        time=datetime.fromisoformat(payload["time"]),
        live_version=payload["live_version"],
        title=payload["title"],
        groups=tuple(payload["groups"]),
        passage_hashes=tuple(payload["passage_hashes"]),
        reason=payload["reason"],
        change=_change_from(payload["change"]) if payload["change"] else None,
        told=payload["told"],
    )


def passage_payload(key: DocumentKey, version: int, document: Document, passage: Passage) -> Payload:
    """Everything that a search needs of *passage*."""
    return {
        "tenant": key.tenant,
        "document": str(key),
        "document_id": key.document_id,
        "version": version,
        "audience": audiences(key.tenant, document.groups or [EVERYBODY]),
        "title": document.title,
        "url": document.url,
        "text": passage.text,
        "hash": passage.hash,
        "start": passage.start,
        "end": passage.end,
    }


def found_from(payload: Payload, score: float) -> Found:
    """The passage that *payload* was made from, as a search found it."""
    ref = PassageRef(payload["document_id"], payload["version"], payload["hash"])
    return Found(ref, payload["title"], payload["url"], payload["text"], payload["start"], payload["end"], score)


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
