"""What the index knows of each document, and the steps from one version to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from plumbline_retrieval.domain.document import FINGERPRINT, Document, DocumentKey, Passage
from plumbline_retrieval.domain.source import DEFAULT_SOURCE

NO_VERSION: Final = -1
EVER: Final = datetime.min.replace(tzinfo=UTC)
KEPT_VERSIONS: Final = 20
"""How many steps of its life a document's head remembers."""


class State(Enum):
    """What became of a document's newest version."""

    LIVE = "live"
    DELETED = "deleted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Change:
    """The step from one live version of a document to the next."""

    old_version: int
    """NO_VERSION when there was none."""
    new_version: int
    deleted: bool
    removed: tuple[str, ...]
    added: tuple[str, ...]
    """Hashes of passages that went and came."""
    time: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one version."""

    version: int
    state: State
    time: datetime
    added: int = 0
    removed: int = 0
    """Numbers of passages."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What a document's live version is, beside its passages."""

    version: int = NO_VERSION
    title: str = ""
    passage_hashes: tuple[str, ...] = ()
    text_hash: str = ""
    submitted_at: datetime = EVER
    fingerprint: str = ""
    """By which a poll knows that its origin has not changed; empty for what was not polled."""
    sketch: str = ""
    """Of the text, see `likeness.sketch`; empty for a short text."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the index knows of a document. Writing it is what makes a version live: readers show no other."""

    key: DocumentKey
    version: int
    state: State
    time: datetime
    """When `version` was indexed."""
    live: Live = Live()
    groups: tuple[str, ...] = ()
    source_id: str = DEFAULT_SOURCE
    reason: str = ""
    change: Change | None = None
    """The step that led to `version`, kept so that it can be told again after a crash; None if it was refused."""
    told: bool = False
    """Whether everybody else has heard what became of `version`."""
    history: tuple[Step, ...] = ()
    """Newest first."""

    @property
    def is_superseded(self) -> bool:
        """Whether something newer than what readers see was accepted."""
        return self.version > self.live.version

    @property
    def kept_hashes(self) -> tuple[str, ...]:
        """Hashes of the live passages that the version before held too, and that count as the same."""
        if self.change is None:
            return self.live.passage_hashes
        others = {*self.change.added, *self.change.removed}
        return tuple(each for each in self.live.passage_hashes if each not in others)

    def admits(self, groups: Sequence[str]) -> bool:
        """Whether a caller of *groups* may know of the document."""
        return not self.groups or not set(self.groups).isdisjoint(groups)

    def shows(self, groups: Sequence[str]) -> bool:
        """Whether a caller of *groups* finds passages of the document."""
        return self.live.version != NO_VERSION and self.admits(groups)


def next_head(before: Head | None, key: DocumentKey, version: int, time: datetime) -> Head:
    """The head that *version* starts from: what is live stays as it is."""
    if before is None:
        return Head(key, version, State.DELETED, time)
    return replace(before, version=version, time=time, reason="", change=None, told=False)


def published(
    head: Head, document: Document, passages: Sequence[Passage], submitted_at: datetime, sketch: str = ""
) -> Head:
    """*head* once its version is live with *passages*; *sketch* is that of its text.

    A new title or audience counts as removing every passage: what was answered rested on them too.
    """
    hashes = tuple(dict.fromkeys(passage.hash for passage in passages))
    before = head.live
    same = (before.title, head.groups) == (document.title, document.groups)
    known, kept = set(before.passage_hashes), set(hashes) if same else set()
    change = Change(
        old_version=before.version,
        new_version=head.version,
        deleted=False,
        removed=tuple(each for each in before.passage_hashes if each not in kept),
        added=tuple(each for each in hashes if each not in known),
        time=head.time,
    )
    fingerprint = dict(document.metadata).get(FINGERPRINT, "")
    live = Live(head.version, document.title, hashes, document.hash, submitted_at, fingerprint, sketch)
    after = replace(
        head, state=State.LIVE, live=live, groups=document.groups, source_id=document.source_id, change=change
    )
    return _with_step(after)


def deleted(head: Head) -> Head:
    """*head* once its version is "deleted": of the document itself nothing stays."""
    change = Change(head.live.version, head.version, True, head.live.passage_hashes, (), head.time)
    return _with_step(replace(head, state=State.DELETED, live=Live(), change=change))


def rejected(head: Head, reason: str) -> Head:
    """*head* once its version was refused: the one before stays live."""
    return _with_step(replace(head, state=State.REJECTED, reason=reason))


def _with_step(head: Head) -> Head:
    change = head.change
    added, removed = (len(change.added), len(change.removed)) if change else (0, 0)
    step = Step(head.version, head.state, head.time, added, removed, head.reason)
    return replace(head, history=(step, *head.history)[:KEPT_VERSIONS])
