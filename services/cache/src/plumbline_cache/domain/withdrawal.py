"""What somebody wanted gone: nothing of it that was generated before is kept or taken in, in whatever order one hears.

The time of a withdrawal is that of the replica that was asked, and an answer's is that of the service that wrote it.
Where those clocks disagree by more than `CLOCKS_APART` an answer from between may stay, or one too many go.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from plumbline_cache.domain.entry import Entry
from plumbline_models.text import normalise

CLOCKS_APART: Final = timedelta(milliseconds=100)
"""An answer that was begun this long after a withdrawal counts as begun before."""


class Kind(Enum):
    """What a selection names."""

    ENTRY = "entry"
    QUESTION = "question"
    DOCUMENT = "document"
    ERASED_DOCUMENT = "erased_document"
    """As a document; and no text that rests on it is kept or told."""
    RELEASE = "release"
    APPLICATION = "application"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries of a tenant."""

    kind: Kind
    name: str = ""
    """Empty for the tenant."""

    @classmethod
    def question(cls, question: str) -> "Selection":
        """Entries of this question in every scope."""
        return cls(Kind.QUESTION, normalise(question) or question.strip())

    @classmethod
    def release(cls, application: str, release: str) -> "Selection":
        """Entries of one release."""
        return cls(Kind.RELEASE, json.dumps([application, release]))

    @property
    def document(self) -> str | None:
        """The document that every selected entry rests on, if that is what selects them."""
        return self.name if self.kind in (Kind.DOCUMENT, Kind.ERASED_DOCUMENT) else None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Somebody wants entries gone."""

    id: str
    tenant: str
    selection: Selection
    time: datetime
    audited: bool = False
    """Whether an audit wants it, not a person."""

    @property
    def erases(self) -> bool:
        """Whether nothing of the texts may stay either."""
        return self.selection.kind is Kind.ERASED_DOCUMENT

    def covers(self, entry: Entry) -> bool:
        """Whether *entry* is selected and was begun before."""
        mine = entry.scope.tenant == self.tenant and self.selection in selections_of(entry)
        return mine and entry.begin_time <= self.time + CLOCKS_APART


def wrong_answer(withdrawal_id: str, entry: Entry) -> Withdrawal:
    """That the answer of *entry* is wrong: it goes, and none that was begun later."""
    selection = Selection(Kind.ENTRY, entry.id)
    return Withdrawal(withdrawal_id, entry.scope.tenant, selection, entry.begin_time - CLOCKS_APART, audited=True)


def selections_of(entry: Entry) -> tuple[Selection, ...]:
    """Everything that would select *entry*."""
    scope = entry.scope
    documents = [Selection(kind, name) for name in entry.documents for kind in (Kind.DOCUMENT, Kind.ERASED_DOCUMENT)]
    return (
        Selection(Kind.ENTRY, entry.id),
        Selection.question(entry.question),
        *documents,
        Selection.release(scope.application, scope.release),
        Selection(Kind.APPLICATION, scope.application),
        Selection(Kind.TENANT),
    )


def withdrawn_by(entry: Entry, withdrawals: Iterable[Withdrawal]) -> Withdrawal | None:
    """The first of *withdrawals* that took *entry* away, if one did."""
    covering = [withdrawal for withdrawal in withdrawals if withdrawal.covers(entry)]
    return min(covering, key=lambda withdrawal: (withdrawal.time, withdrawal.id), default=None)
