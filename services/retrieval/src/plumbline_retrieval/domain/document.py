"""Documents, their passages, and what the index knows of each document."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from plumbline_kit.errors import FieldViolation, Invalid

MAX_ID_CHARACTERS: Final = 512
MAX_TEXT_BYTES: Final = 1_000_000
MAX_TITLE_CHARACTERS: Final = 1_000
MAX_URL_CHARACTERS: Final = 2_000
MAX_GROUPS: Final = 100
MAX_GROUP_CHARACTERS: Final = 200
EVERYBODY: Final = "*"
"""Stands for the groups of a document that the whole tenant may see; no group can have this name."""
NO_VERSION: Final = -1


class State(Enum):
    """What became of a document's newest version."""

    LIVE = "live"
    DELETED = "deleted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A document of a tenant."""

    tenant: str
    document_id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.document_id}"


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its owner submits it. Raises `Invalid` with every field that is wrong."""

    document_id: str
    title: str
    text: str
    url: str = ""
    groups: tuple[str, ...] = ()
    """Who may see it; empty means everybody in the tenant."""

    def __post_init__(self) -> None:
        wrong = [
            *_wrong_id(self.document_id),
            *_wrong_line("document.title", self.title, MAX_TITLE_CHARACTERS),
            *_wrong_text(self.text),
            *_wrong_line("document.url", self.url, MAX_URL_CHARACTERS),
            *_wrong_groups(self.groups),
        ]
        if wrong:
            raise Invalid("; ".join(f"{each.field} {each.description}" for each in wrong), *wrong)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: `text == document.text[start:end]`, in code points."""

    ordinal: int
    start: int
    end: int
    text: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text: an unchanged passage keeps it from version to version."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PassageRef:
    """One passage of one version of one document."""

    document_id: str
    version: int
    passage_hash: str


@dataclass(frozen=True, slots=True)
class Found:
    """A passage as a search returns it. *score* is in [0, 1] and compares only within one search."""

    ref: PassageRef
    title: str
    url: str
    text: str
    start: int
    end: int
    score: float


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
class Head:
    """What the index knows of a document. Writing it is what makes a version live: readers show no other."""

    key: DocumentKey
    version: int
    state: State
    time: datetime
    live_version: int = NO_VERSION
    title: str = ""
    groups: tuple[str, ...] = ()
    passage_hashes: tuple[str, ...] = ()
    """Of the live version."""
    reason: str = ""
    change: Change | None = None
    """The step that led to `version`, kept so that it can be told again after a crash; None if it was refused."""
    told: bool = False
    """Whether everybody else has heard what became of `version`."""

    def admits(self, groups: Sequence[str]) -> bool:
        """Whether a caller of *groups* may know of the document."""
        return not self.groups or not set(self.groups).isdisjoint(groups)

    def shows(self, groups: Sequence[str]) -> bool:
        """Whether a caller of *groups* finds passages of the document."""
        return self.live_version != NO_VERSION and self.admits(groups)


def next_head(before: Head | None, key: DocumentKey, version: int, time: datetime) -> Head:
    """The head that *version* starts from: what is live stays as it is."""
    if before is None:
        return Head(key, version, State.DELETED, time)
    return replace(before, version=version, time=time, reason="", change=None, told=False)


def published(head: Head, document: Document, passages: Sequence[Passage]) -> Head:
    """*head* once its version is live with *passages*.

    A new title or audience counts as removing every passage: what was answered rested on them too.
    """
    hashes = tuple(dict.fromkeys(passage.hash for passage in passages))
    same = (head.title, head.groups) == (document.title, document.groups)
    kept = set(hashes) if same else set()
    change = Change(
        old_version=head.live_version,
        new_version=head.version,
        deleted=False,
        removed=tuple(each for each in head.passage_hashes if each not in kept),
        added=tuple(each for each in hashes if each not in head.passage_hashes),
        time=head.time,
    )
    return replace(
        head,
        state=State.LIVE,
        live_version=head.version,
        title=document.title,
        groups=document.groups,
        passage_hashes=hashes,
        change=change,
    )


def deleted(head: Head) -> Head:
    """*head* once its version is "deleted"."""
    change = Change(head.live_version, head.version, True, head.passage_hashes, (), head.time)
    return replace(head, state=State.DELETED, live_version=NO_VERSION, passage_hashes=(), change=change)


def rejected(head: Head, reason: str) -> Head:
    """*head* once its version was refused: the one before stays live."""
    return replace(head, state=State.REJECTED, reason=reason)


def _wrong_id(document_id: str) -> list[FieldViolation]:
    field = "document.document_id"
    if not 1 <= len(document_id) <= MAX_ID_CHARACTERS:
        return [FieldViolation(field, f"must have 1 to {MAX_ID_CHARACTERS} characters, has {len(document_id)}")]
    if document_id != document_id.strip("/") or not document_id.isprintable():
        return [FieldViolation(field, "must be printable, without a slash at either end")]
    return []


def _wrong_text(text: str) -> list[FieldViolation]:
    field = "document.text"
    if not text.strip():
        return [FieldViolation(field, "is empty")]
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        return [FieldViolation(field, f"has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are allowed: split it")]
    if "\0" in text:
        return [FieldViolation(field, "holds a NUL character; is it a binary file?")]
    if not any(character.isalnum() for character in text):
        return [FieldViolation(field, "holds no letter and no digit: there is nothing to find")]
    return []


def _wrong_line(field: str, line: str, most: int) -> list[FieldViolation]:
    if len(line) > most:
        return [FieldViolation(field, f"has {len(line):,} characters; at most {most:,} are allowed")]
    if "\0" in line:
        return [FieldViolation(field, "holds a NUL character")]
    return []


def _wrong_groups(groups: Sequence[str]) -> list[FieldViolation]:
    field = "document.groups"
    if len(groups) > MAX_GROUPS:
        return [FieldViolation(field, f"has {len(groups)} entries; at most {MAX_GROUPS} are allowed")]
    if any(not 1 <= len(group.strip()) <= MAX_GROUP_CHARACTERS or "\0" in group for group in groups):
        return [FieldViolation(field, f"holds a name that has not 1 to {MAX_GROUP_CHARACTERS} characters")]
    if EVERYBODY in groups:
        return [FieldViolation(field, f"must not name {EVERYBODY}: leave it empty for everybody")]
    return []
