"""An answer, what it rests on, and what is asked of this service."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from plumbline_generation.domain.attempts import UNTRODDEN, Trail, Usage
from plumbline_generation.domain.consistency import Consistency
from plumbline_generation.domain.conversation import MAX_QUESTION_CHARACTERS, Condensation, Method
from plumbline_generation.domain.schema import Schema
from plumbline_guards.findings import Kind
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.errors import Invalid
from plumbline_kit.release import MOST_SAMPLES, Unsupported

EXTRACTIVE: Final = "extractive"
"""Stands for the name of a model where none wrote the text."""


class Outcome(Enum):
    """How an answer came out."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class PassageRef:
    """One passage of one version of one document."""

    document_id: str
    version: int
    passage_hash: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where in its document a passage stands, and how far it may be relied on."""

    title_path: tuple[str, ...] = ()
    """The headings it lies under, outermost first."""
    page: int = 0
    source_id: str = ""
    as_of: datetime | None = None
    """When the document was last known to be what its source says."""
    freshness: int = 0
    trust: int = 0
    """Both by the numbers of the contract, 0 where nothing is known."""


UNKNOWN: Final = Provenance()


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as it was found. Offsets are code points of the document."""

    ref: PassageRef
    title: str
    url: str
    text: str
    start: int
    end: int
    score: float
    provenance: Provenance = UNKNOWN
    similarity: float | None = None
    """Cosine to the question it was found for, in [-1, 1]; None where nothing compared them."""

    @property
    def evidence(self) -> str:
        """What a sentence may rest on: the title counts, because the text often only says "it"."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Block:
    """What the model reads as one passage: a source, or neighbours of one document joined."""

    numbers: tuple[int, ...]
    """1-based, of the sources that it holds, the best first."""
    title: str
    section: str
    """The headings that it lies under, as one line."""
    text: str
    tokens: int
    """Of its text and title and what stands around them."""
    cut: bool
    """Whether the model reads only the beginning of its source."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A question and what it is to be answered from, best first. Raises `Invalid` where it cannot be answered."""

    answer_id: str
    question: str
    passages: tuple[Passage, ...]
    application_id: str
    release_id: str
    condensation: Condensation | None = None
    """What the question was, where it was asked within a conversation."""
    schema: Schema | None = None
    """What the answer has to fit, where it is to be JSON."""
    samples: int = 0
    """Of how many texts the answer is one; 0: as the release says."""
    audited_answer_id: str = ""
    """The cached answer that this one is to be compared with; empty where a caller waits for it."""

    def __post_init__(self) -> None:
        if not 0 <= self.samples <= MOST_SAMPLES:
            raise Invalid.field("samples", f"is {self.samples}; at most {MOST_SAMPLES} are drawn")
        check_question(self.question)
        if not _is_uuid(self.answer_id):
            raise Invalid.field("answer_id", "is not a UUID such as 0b0e8f6e-6a5d-4c3f-9a3c-5f2f7d1c2b4a")


class ClaimStatus(Enum):
    """What the check of a sentence came to."""

    SUPPORTED = "supported"
    """By a source that the model cited."""
    ATTRIBUTED = "attributed"
    """By a source that was found; the model cited none."""
    REPAIRED = "repaired"
    """By a source that was found in place of those that the model cited."""
    UNSUPPORTED = "unsupported"
    NOT_CHECKED = "not_checked"
    """Counting words says nothing about it."""
    NO_CLAIM = "no_claim"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the source of that 1-based number that supports a claim: code points of the document."""

    source_number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence: code points of the text, 1-based numbers of the sources that support it."""

    start: int
    end: int
    source_numbers: tuple[int, ...]
    support: float
    """Share of the sentence's content words that the best source holds, in [0, 1]."""
    status: ClaimStatus
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, what it claims, and every passage it may rest on."""

    text: str
    claims: tuple[Claim, ...]
    sources: tuple[Passage, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """How the text came through the guards, and how many findings of each kind there were."""

    outcome: GuardOutcome
    counts: Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class GroundingRecord:
    """How the sentences of the model's text fared."""

    policy: Unsupported
    counts: Mapping[ClaimStatus, int]
    withheld: int = 0
    replaced: int = 0
    """Sentences of the passages that stand in the place of those withheld."""


@dataclass(frozen=True, slots=True)
class GuardResult:
    """What came of one guard, how many findings of each kind there were, and how long it looked."""

    guard: str
    outcome: GuardOutcome
    counts: Mapping[Kind, int]
    seconds: float

    @property
    def is_news(self) -> bool:
        """Whether something was found, or not looked for."""
        return bool(self.counts) or self.outcome is not GuardOutcome.PASSED


@dataclass(frozen=True, slots=True)
class Record:
    """How an answer came about. Times are in seconds since the request arrived."""

    model: str
    usage: Usage
    seconds_to_first_token: float
    seconds: float
    reason: str
    """Why the answer is degraded or refused; empty otherwise."""
    trail: Trail = UNTRODDEN
    guard: GuardRecord | None = None
    """None where the guards are off."""
    grounding: GroundingRecord | None = None
    """None where no model wrote anything."""
    condensed: Method | None = None
    """How the question came to stand alone, where it was asked within a conversation."""
    guards: tuple[GuardResult, ...] = ()
    """Of those that are on: the question's, the passages', the text's."""
    dropped: tuple[PassageRef, ...] = ()
    """Passages that hold instructions to the model, which it was not given."""
    blocks: tuple[Block, ...] = ()
    """What the model was given to read, or would have been, in the prompt's order."""
    consistency: Consistency | None = None
    """Where the text is one of several."""
    answerability: float | None = None
    """How likely the passages found hold the answer, in [0, 1]; None where it was not looked at."""
    repaired: bool | None = None
    """Of an answer as JSON: whether the model had to be told what was wrong with its first one."""


def check_question(question: str) -> None:
    """Raises `Invalid` for one that cannot be asked."""
    if not question.strip():
        raise Invalid.field("question", "is empty")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise Invalid.field(
            "question", f"has {len(question):,} characters; at most {MAX_QUESTION_CHARACTERS:,} are allowed"
        )
    if "\0" in question:
        raise Invalid.field("question", "holds a NUL character")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
