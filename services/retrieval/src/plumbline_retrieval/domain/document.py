"""Documents as their owners submit them, and the passages that they are cut into."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from plumbline_kit.errors import FieldViolation, Invalid
from plumbline_models.text import content_words
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.source import DEFAULT_SOURCE, Freshness, Trust

MAX_ID_CHARACTERS: Final = 512
MAX_TEXT_BYTES: Final = 1_000_000
MAX_TITLE_CHARACTERS: Final = 1_000
MAX_URL_CHARACTERS: Final = 2_000
MAX_GROUPS: Final = 100
MAX_GROUP_CHARACTERS: Final = 200
MAX_METADATA: Final = 50
MAX_NAME_CHARACTERS: Final = 100
MAX_VALUE_CHARACTERS: Final = 500
MAX_LANGUAGE_CHARACTERS: Final = 35
"""Of BCP 47."""
CONTEXT_CHARACTERS: Final = 120
"""What the encoder sees of title and headings: more would push the passage out of its window."""
EVERYBODY: Final = "*"
"""Stands for the groups of a document that the whole tenant may see; no group can have this name."""
NOBODY: Final = "\0"
"""Stands for an audience that nobody can be of."""
FACTS: Final = "facts/"
"""Begins the ids of documents that are made of recorded facts; no submitted document may have such an id."""

FINGERPRINT: Final = "fingerprint"
"""The name of the metadata by which a polled document is known again after a restart."""

Metadata = tuple[tuple[str, str], ...]
"""Names and values, in order of the names."""


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
    """Plain text or Markdown; a form feed begins a new page."""
    url: str = ""
    groups: tuple[str, ...] = ()
    """Who may see it; empty means everybody in the tenant."""
    source_id: str = DEFAULT_SOURCE
    metadata: Metadata = ()
    language: str = ""
    """BCP 47; empty where nobody said it."""
    content_time: datetime | None = None
    """When the content was last changed where it came from."""
    layout: Layout = Layout.PROSE

    def __post_init__(self) -> None:
        wrong = [
            *_wrong_id(self.document_id),
            *_wrong_line("document.title", self.title, MAX_TITLE_CHARACTERS),
            *_wrong_text(self.text),
            *_wrong_line("document.url", self.url, MAX_URL_CHARACTERS),
            *_wrong_groups(self.groups),
            *_wrong_metadata(self.metadata),
            *_wrong_line("document.language", self.language, MAX_LANGUAGE_CHARACTERS),
        ]
        if wrong:
            raise Invalid("; ".join(f"{each.field} {each.description}" for each in wrong), *wrong)

    @property
    def hash(self) -> str:
        """SHA-256 of the text: that of its duplicates too."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: `document.text[start:end]`, in code points; rows of a table under its header."""

    ordinal: int
    start: int
    end: int
    text: str
    title_path: tuple[str, ...] = ()
    """The headings it lies under, outermost first."""
    page: int = 0
    """1-based; 0 where the document has no pages."""

    @property
    def hash(self) -> str:
        """SHA-256 of the text: an unchanged passage keeps it from version to version."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def embedded(self, title: str) -> str:
        """What the encoder sees: a passage alone often does not say what it is about."""
        context = " > ".join(dict.fromkeys(each for each in (title, *self.title_path) if each))
        return f"{context[:CONTEXT_CHARACTERS]}\n{self.text}" if context else self.text

    def words(self, title: str) -> str:
        """The stems of its words with content, and of its title and headings, in order, each between spaces."""
        return f" {' '.join(content_words(self.embedded(title)))} "


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
    passage: Passage
    source_id: str
    submitted_at: datetime
    words: str = ""
    """See `Passage.words`."""
    score: float = 0.0
    freshness: Freshness = Freshness.CURRENT
    as_of: datetime | None = None
    """When it was last known to be what its source says."""
    preceding: str = ""
    following: str = ""
    trust: Trust = Trust.MEDIUM
    """Of its source."""
    similarity: float | None = None
    """Cosine to the wording of the question that is nearest; None where its vector is in no list."""


def _wrong_id(document_id: str) -> list[FieldViolation]:
    field = "document.document_id"
    if not 1 <= len(document_id) <= MAX_ID_CHARACTERS:
        return [FieldViolation(field, f"must have 1 to {MAX_ID_CHARACTERS} characters, has {len(document_id)}")]
    if document_id != document_id.strip("/") or not document_id.isprintable():  # no surrogates either
        return [FieldViolation(field, "must be printable, without a slash at either end")]
    return []


def _wrong_text(text: str) -> list[FieldViolation]:
    field = "document.text"
    if not _is_unicode(text):
        return [FieldViolation(field, "holds half a surrogate pair: it is no Unicode text")]
    if not text.strip():
        return [FieldViolation(field, "is empty")]
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        return [FieldViolation(field, f"has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are allowed: split it")]
    if "\0" in text:
        return [FieldViolation(field, "holds a NUL character; is it a binary file?")]
    if not any(character.isalnum() for character in text):
        return [FieldViolation(field, "holds no letter and no digit: there is nothing to find")]
    return []


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong_line(field: str, line: str, most: int) -> list[FieldViolation]:
    if not _is_unicode(line):
        return [FieldViolation(field, "holds half a surrogate pair: it is no Unicode text")]
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


def _wrong_metadata(metadata: Metadata) -> list[FieldViolation]:
    field = "document.metadata"
    if len(metadata) > MAX_METADATA:
        return [FieldViolation(field, f"has {len(metadata)} entries; at most {MAX_METADATA} are allowed")]
    if any(not 1 <= len(name) <= MAX_NAME_CHARACTERS or "=" in name for name, _ in metadata):
        return [FieldViolation(field, f"holds a name that has not 1 to {MAX_NAME_CHARACTERS} characters, or an =")]
    if any(len(value) > MAX_VALUE_CHARACTERS for _, value in metadata):
        return [FieldViolation(field, f"holds a value of more than {MAX_VALUE_CHARACTERS} characters")]
    return []
