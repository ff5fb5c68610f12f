"""The answer under evaluation, in this service's own words."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from plumbline_kit.errors import Invalid
from plumbline_models.evidence import Source

MAX_ID_CHARACTERS: Final = 200


class Outcome(Enum):
    """How an answer came out."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence and the sources that its writer says support it; nothing here is taken on trust."""

    start: int
    end: int
    """Code points of the answer's text, end exclusive."""
    source_numbers: tuple[int, ...]
    """1-based."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, what it cites, and every passage it may rest on."""

    text: str
    claims: tuple[Claim, ...]
    sources: tuple[Source, ...]
    """What the model saw of each passage."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Subject:
    """One generated answer of one tenant. Raises `Invalid` where it could belong to nobody."""

    tenant: str
    answer_id: str
    application: str
    release: str
    question: str
    answer: Answer
    fact: bytes
    """The fact as it arrived, to be carried on whole."""

    def __post_init__(self) -> None:
        require_id("tenant_id", self.tenant)
        require_id("answer_id", self.answer_id)
        for field, value in (("application_id", self.application), ("release_id", self.release)):
            if "\0" in value:
                raise Invalid.field(field, "holds a NUL character")


def require_id(field: str, value: str) -> None:
    """Raise `Invalid` unless *value* can name something."""
    if not value.strip():
        raise Invalid.field(field, "is empty")
    if len(value) > MAX_ID_CHARACTERS or "\0" in value:
        raise Invalid.field(field, f"is longer than {MAX_ID_CHARACTERS} characters or holds a NUL character")
