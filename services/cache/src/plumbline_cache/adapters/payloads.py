"""Entries, floors, notices and withdrawals as payloads of the engine, and back."""

import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from plumbline_cache.domain.addition import LEAST, Addition, least_similarity
from plumbline_cache.domain.entry import Cost, Entry, Mark, Saving, Scope, Source
from plumbline_cache.domain.freshness import Cause, Change, Floor, Notice
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal

Payload: TypeAlias = dict[str, Any]  # the engine's own type

_FLOORS: Final = uuid.UUID("c3d7b1f4-90a5-5b0e-a0a5-6c1f1f1c2f7e")
_ADDITIONS: Final = uuid.UUID("4b8f6f0a-6a0e-5f0e-9d43-2c1f0b7a9e66")
_WITHDRAWALS: Final = uuid.UUID("9f0f7a52-3b7e-5c19-8e41-7d2f3c6a1b08")

ENTRY: Final = "entry"
FLOOR: Final = "floor"
NOTICE: Final = "notice"
WITHDRAWAL: Final = "withdrawal"
ADDITION: Final = "addition"

NO_CELL: Final = "none"
"""Of an entry that has not got its cell yet: finding those that have no value would mean to look at all."""

FILTERED_FIELDS: Final = ("kind", "tenant", "holder", "scope", "cell", "documents", "added_to", "unmarked", "made_by")
"""What the engine keeps an index of."""
EXPIRES: Final = "expires"
"""Of an entry: seconds since 1970, by which those whose time is over are found."""

MADE: Final = "made"
"""Of a withdrawal: when it was asked for, in seconds since 1970."""

STEPS: Final = 10
"""Into which entries without a mark are put by how near a passage has to be to mark them."""

TOLD: Final = "told"
"""Of an addition: seconds since 1970, likewise."""

TIMES: Final = (EXPIRES, MADE, TOLD)
"""What the engine keeps an index of, too: what is over is looked for every minute."""

SELECTIONS: Final = 256
"""Whose ids are kept: an admission asks twice for a dozen, and entries of one document share most. No more, since some
hold a question."""

TENANTS: Final = 4_096
"""Whose name spaces are kept."""


def entry_payload(entry: Entry) -> Payload:
    """Everything but the id and the vector. The entry lies in no cell."""
    return {
        "kind": ENTRY,
        "scope": entry.scope.key,
        "cell": NO_CELL,
        "tenant": entry.scope.tenant,
        "holder": entry.scope.tenant,  # of entries alone: an index of one field knows how many without looking
        "groups": list(entry.scope.groups),
        "application": entry.scope.application,
        "release": entry.scope.release,
        "made_by": release_name(entry.scope.application, entry.scope.release),
        "language": entry.scope.language,
        "conversation": entry.scope.conversation,
        "question": entry.question,
        "answer": b64encode(entry.answer).decode(),
        "answer_id": entry.answer_id,
        "documents": list(entry.documents),
        "generate_time": entry.generate_time.isoformat(),
        "admit_time": entry.admit_time.isoformat(),
        "evaluation_id": entry.evaluation_id,
        "expire_time": entry.expire_time.isoformat(),
        EXPIRES: entry.expire_time.timestamp(),
        "saving": _saving_payload(entry.saving),
        "least_similarity": entry.least_similarity,
        "hits": entry.hits,
        **sources_payload(entry),
        **mark_payload(entry),
    }


def release_name(application: str, release: str) -> str:
    """The value of `made_by`: no other release of any application has it."""
    return json.dumps([application, release])


def sources_payload(entry: Entry) -> Payload:
    """The part of an entry that a change rewrites."""
    return {"sources": [{"document": s.document, "version": s.version, "passage": s.passage} for s in entry.sources]}


def cell_payload(scope_key: str, cell: int) -> Payload:
    """The part of an entry that says where its question lies. A cell belongs to one scope."""
    return {"cell": cell_name(scope_key, cell)}


def cell_name(scope_key: str, cell: int) -> str:
    """No other scope has a cell of this name."""
    return f"{scope_key}/{cell}"


def mark_payload(entry: Entry) -> Payload:
    """The part of an entry that a new passage rewrites."""
    if (mark := entry.mark) is None:
        return {"mark": None, "unmarked": _unmarked(entry.scope.tenant, _step(least_similarity(entry)))}
    return {"mark": [mark.time.isoformat(), mark.document, mark.version, mark.passage], "unmarked": None}


def unmarked_groups(tenant: str) -> Iterator[tuple[str, float]]:
    """Values of `unmarked` of all the tenant's entries without a mark, and the least cosine that can mark one of each.

    Without steps each of many like questions would be read for a passage that is near, but not near enough.
    """
    for step in range(_step(LEAST), STEPS):
        yield _unmarked(tenant, step), step / STEPS


def _unmarked(tenant: str, step: int) -> str:
    return f"{tenant}/{step}"


def _step(similarity: float) -> int:
    return min(int(similarity * STEPS), STEPS - 1)


def entry_from(point_id: str, payload: Payload) -> Entry:
    """The other way."""
    return Entry(
        id=point_id,
        scope=_scope_from(payload),
        question=payload["question"],
        answer=b64decode(payload["answer"]),
        answer_id=payload["answer_id"],
        sources=tuple(Source(**source) for source in payload["sources"]),
        generate_time=datetime.fromisoformat(payload["generate_time"]),
        admit_time=datetime.fromisoformat(payload["admit_time"]),
        evaluation_id=payload["evaluation_id"],
        expire_time=datetime.fromisoformat(payload["expire_time"]),
        saving=_saving_from(payload["saving"]),
        least_similarity=payload["least_similarity"],
        mark=_mark_from(payload["mark"]),
        hits=payload["hits"],
    )


def _mark_from(mark: list[Any] | None) -> Mark | None:
    return None if mark is None else Mark(datetime.fromisoformat(mark[0]), *mark[1:])


def _scope_from(payload: Payload) -> Scope:
    return Scope(
        payload["tenant"],
        tuple(payload["groups"]),
        payload["application"],
        payload["release"],
        payload["language"],
        payload["conversation"],
    )


def _saving_payload(saving: Saving) -> Payload:
    return {
        "prompt_tokens": saving.prompt_tokens,
        "completion_tokens": saving.completion_tokens,
        "seconds": saving.seconds,
        "costs": {cost.currency: cost.amount for cost in saving.costs},
    }


def _saving_from(payload: Payload) -> Saving:
    costs = tuple(Cost(currency, amount) for currency, amount in payload["costs"].items())
    return Saving(**{**payload, "costs": costs})


def floor_payload(floor: Floor) -> Payload:
    """Everything of a floor."""
    return {
        "kind": FLOOR,
        "tenant": floor.tenant,
        "document": floor.document,
        "version": floor.version,
        "deleted": floor.deleted,
        "changes": [_change_payload(change) for change in floor.changes],
    }


def _change_payload(change: Change) -> Payload:
    return {
        "old_version": change.old_version,
        "new_version": change.new_version,
        "deleted": change.deleted,
        "kept": sorted(change.kept),
    }


def floor_from(payload: Payload) -> Floor:
    """The other way."""
    tenant, document = payload["tenant"], payload["document"]
    changes = tuple(
        Change(tenant, document, **{**change, "kept": frozenset(change["kept"])}) for change in payload["changes"]
    )
    return Floor(tenant, document, payload["version"], payload["deleted"], changes)


def notice_payload(notice: Notice) -> Payload:
    """Everything of a notice. Its document lies under `documents`, which has an index."""
    return {
        "kind": NOTICE,
        "entry_id": notice.entry_id,
        "tenant": notice.tenant,
        "application": notice.application,
        "release": notice.release,
        "question": notice.question,
        "answer_id": notice.answer_id,
        "cause": notice.cause.value,
        "documents": [notice.document],
        "version": notice.version,
        "time": notice.time.isoformat(),
        "withdrawal": notice.withdrawal,
    }


def notice_from(payload: Payload) -> Notice:
    """The other way."""
    return Notice(
        entry_id=payload["entry_id"],
        tenant=payload["tenant"],
        application=payload["application"],
        release=payload["release"],
        question=payload["question"],
        answer_id=payload["answer_id"],
        cause=Cause(payload["cause"]),
        document=payload["documents"][0],
        version=payload["version"],
        time=datetime.fromisoformat(payload["time"]),
        withdrawal=payload["withdrawal"],
    )


def withdrawal_payload(withdrawal: Withdrawal) -> Payload:
    """Everything of a withdrawal."""
    return {
        "kind": WITHDRAWAL,
        "tenant": withdrawal.tenant,
        "id": withdrawal.id,
        "selects": withdrawal.selection.kind.value,
        "name": withdrawal.selection.name,
        MADE: withdrawal.time.timestamp(),
        "time": withdrawal.time.isoformat(),
        "audited": withdrawal.audited,
    }


def withdrawal_from(payload: Payload) -> Withdrawal:
    """The other way."""
    selection = Selection(Kind(payload["selects"]), payload["name"])
    time = datetime.fromisoformat(payload["time"])
    return Withdrawal(payload["id"], payload["tenant"], selection, time, payload["audited"])


def addition_payload(addition: Addition) -> Payload:
    """Everything of an addition but its vector."""
    return {
        "kind": ADDITION,
        "tenant": addition.tenant,
        "added_to": addition.tenant,  # of additions alone, as `holder` is of entries
        "document": addition.document,
        "version": addition.version,
        "passage": addition.passage,
        "groups": sorted(addition.groups),
        TOLD: addition.time.timestamp(),
        "time": addition.time.isoformat(),
    }


def addition_from(payload: Payload) -> Addition:
    """The other way."""
    return Addition(
        payload["tenant"],
        payload["document"],
        payload["version"],
        payload["passage"],
        frozenset(payload["groups"]),
        datetime.fromisoformat(payload["time"]),
    )


def floor_id(tenant: str, document: str) -> str:
    """Where the floor of a tenant's document lies."""
    return str(uuid.uuid5(_space(_FLOORS, tenant), document))


@lru_cache(maxsize=SELECTIONS)
def withdrawal_id(tenant: str, selection: Selection) -> str:
    """Where the withdrawal of what a tenant selected lies."""
    name = json.dumps([selection.kind.value, selection.name])
    return str(uuid.uuid5(_space(_WITHDRAWALS, tenant), name))


def is_point_id(text: str) -> bool:
    """Whether a point can be called that."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def addition_id(addition: Addition) -> str:
    """Where an addition with a vector lies."""
    name = json.dumps([addition.document, addition.version, addition.passage])
    return str(uuid.uuid5(_space(_ADDITIONS, addition.tenant), name))


def blank_id(tenant: str) -> str:
    """Where a tenant's newest addition without a vector lies."""
    return str(uuid.uuid5(_ADDITIONS, tenant))


@lru_cache(maxsize=TENANTS)
def _space(names: uuid.UUID, tenant: str) -> uuid.UUID:
    return uuid.uuid5(names, tenant)
