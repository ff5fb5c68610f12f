"""What a question and an answer are to the front door, and the answer it can give alone."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, IntEnum
from typing import ClassVar

from plumbline_guards.findings import NEVER_TOLD, Kind
from plumbline_guards.links import is_harmful
from plumbline_guards.scanner import scan
from plumbline_guards.window import placeholder
from plumbline_kit.errors import Invalid

MAX_QUESTION_CHARACTERS = 8_000
MAX_TURNS = 100
MAX_TURN_CHARACTERS = 8_000
MAX_CONVERSATION_CHARACTERS = 100_000
MAX_JOINED_CHARACTERS = 1_000
EXTRACT_SENTENCES = 2
REFUSAL = "The documents do not answer this question."
LEFT_OUT = NEVER_TOLD | {Kind.INVISIBLE, Kind.UNSAFE_LINK}
"""Of a passage that is quoted without generation's guards."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_PROSE = re.compile(r"^(?!\s*#)[^\n]*\S[^\n]*$", re.MULTILINE)


class Freshness(Enum):
    """How sure a cached answer must be that its sources are unchanged."""

    EVENTUAL = "eventual"
    STRICT = "strict"
    BYPASS = "bypass"


class Outcome(Enum):
    """How an answer came out."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DEGRADED = "degraded"


class Origin(Enum):
    """Where an answer came from, as its caller sees it."""

    GENERATED = "generated"
    CACHED = "cached"
    DEGRADED = "degraded"
    REFUSED = "refused"


class Tier(Enum):
    """Which part of the cache answered."""

    EXACT = "exact"
    SEMANTIC = "semantic"


class Role(Enum):
    """Who is said to have said something."""

    USER = "user"
    ASSISTANT = "assistant"


class Method(Enum):
    """How a question asked within a conversation came to stand alone."""

    UNCHANGED = "unchanged"
    RULE = "rule"
    MODEL = "model"
    JOINED = "joined"


ORIGINS = {
    Outcome.ANSWERED: Origin.GENERATED,
    Outcome.REFUSED: Origin.REFUSED,
    Outcome.DEGRADED: Origin.DEGRADED,
}


@dataclass(frozen=True, slots=True)
class ReleaseRef:
    """The bundle of settings that answers."""

    application_id: str
    release_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the verified token says."""

    tenant: str
    groups: tuple[str, ...] = ()
    """Sorted."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation as the caller tells it: data, whoever's it is said to be."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks, and what was said before, oldest first. Raises `Invalid` where no service could answer."""

    text: str
    application_id: str
    freshness: Freshness | None = None
    """None leaves it to the release."""
    turns: tuple[Turn, ...] = ()
    json_schema: str = ""
    """What the answer has to fit; generation says what is wrong with it."""
    samples: int = 0
    """Of how many texts the answer is one; 0 leaves it to the release."""

    def __post_init__(self) -> None:
        _check("question", self.text, MAX_QUESTION_CHARACTERS)
        if len(self.turns) > MAX_TURNS:
            raise Invalid.field("turns", f"has {len(self.turns)} entries; at most {MAX_TURNS} are allowed")
        for number, turn in enumerate(self.turns):
            _check(f"turns[{number}].text", turn.text, MAX_TURN_CHARACTERS)
        size = sum(len(turn.text) for turn in self.turns)
        if size > MAX_CONVERSATION_CHARACTERS:
            raise Invalid.field(
                "turns", f"have {size:,} characters; at most {MAX_CONVERSATION_CHARACTERS:,} are allowed"
            )


@dataclass(frozen=True, slots=True)
class Spending:
    """What models took: money by currency, tokens, and how many endpoints were asked or passed over."""

    costs: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    attempts: int = 0

    def __add__(self, other: "Spending") -> "Spending":
        """Both together."""
        currencies = sorted(self.costs.keys() | other.costs.keys())
        return Spending(
            {name: self.costs.get(name, 0.0) + other.costs.get(name, 0.0) for name in currencies},
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.attempts + other.attempts,
        )


@dataclass(frozen=True, slots=True)
class Saving:
    """What an answer's generation took, and whoever is served it again saves."""

    spending: Spending = field(default_factory=Spending)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Condensation:
    """A question before and after. Unless *method* is `UNCHANGED`, *standalone* holds what earlier turns said."""

    original: str
    standalone: str
    method: Method
    reason: str = ""
    conversation: str = ""
    """As `conversation_state` names it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question that is looked up, searched for and answered, and how it came about."""

    text: str
    condensation: Condensation | None = None
    """None where nothing was said before."""
    spending: Spending = field(default_factory=Spending)
    """What condensing took."""

    @property
    def conversation(self) -> str:
        """The state of the conversation that the question was changed for; empty where it stands alone."""
        condensation = self.condensation
        return condensation.conversation if condensation and condensation.method is not Method.UNCHANGED else ""

    def within(self, turns: Sequence[Turn]) -> "Asked":
        """The same, asked after these *turns*."""
        if self.condensation is None:
            return self
        return replace(self, condensation=replace(self.condensation, conversation=conversation_state(turns)))

    @property
    def wordings(self) -> tuple[str, ...]:
        """What is searched for: the question as it was asked too, where it was changed. Both find more than either."""
        original = self.condensation.original if self.condensation else self.text
        return (self.text,) if original == self.text else (self.text, original)


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


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as the index gave it. Offsets are code points of the document."""

    ref: PassageRef
    title: str
    url: str
    text: str
    start: int
    end: int
    score: float
    provenance: Provenance = field(default_factory=Provenance)
    similarity: float | None = None
    """Cosine to the question it was found for; None where nothing compared them."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """A question's vector and the name of the encoder that made it."""

    encoder_id: str
    values: Sequence[float]


class ClaimStatus(IntEnum):
    """Those that the front door gives itself, as the contract numbers them."""

    UNSPECIFIED = 0
    ATTRIBUTED = 2
    NOT_CHECKED = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the source of that 1-based number that supports a claim: code points of the document."""

    source_number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer: code points of the text, 1-based numbers of the sources that support it."""

    start: int
    end: int
    source_numbers: tuple[int, ...]
    support: float
    status: int = ClaimStatus.UNSPECIFIED
    """The contract's number, passed on as it is, known to this build or not."""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, what it claims, and every passage it may rest on."""

    text: str
    claims: tuple[Claim, ...]
    sources: tuple[Passage, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer of the cache. It goes out as it came in: what a hit costs is mostly what is done with its passages."""

    text: str
    sources: tuple[PassageRef, ...]
    content: bytes
    """The contract's Answer, serialised; nothing looks inside."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer that the cache kept. It was evaluated before it was admitted."""

    cached_answer_id: str
    answer: KeptAnswer
    tier: Tier
    entry_id: str = ""
    similarity: float = 1.0
    """Cosine of both questions, in [-1, 1]."""
    question: str = ""
    """What was asked when the answer was generated."""
    scope_key: str = ""
    """Names who shares the entry."""
    saving: Saving = field(default_factory=Saving)
    coalesced_with: ClassVar = ""
    origin: ClassVar = Origin.CACHED
    model: ClassVar = ""
    reason: ClassVar = ""
    recorded: ClassVar = True
    spending: ClassVar = Spending()


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the cache said: a hit, or why there is none and the question's vector if it computed one."""

    hit: Hit | None = None
    miss_reason: str = ""
    embedding: Embedding | None = None
    withheld: Hit | None = None
    """Never to be served: only to be compared with the fresh answer."""
    to_revalidate: Hit | None = None
    """To be served if a search finds the very passages of its answer."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What generation is asked to do."""

    answer_id: str
    question: str
    passages: tuple[Passage, ...]
    release: ReleaseRef
    condensation: Condensation | None = None
    json_schema: str = ""
    samples: int = 0
    audited_answer_id: str = ""
    """The cached answer that this one is to be compared with; empty where a caller waits for it."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished answer. *recorded* means that its evaluation is certain."""

    answer: Answer
    model: str
    reason: str = ""
    recorded: bool = False
    spending: Spending = field(default_factory=Spending)
    samples: int = 0
    """Of how many texts it is one."""
    agreement: float | None = None
    """How far they say the same, in [0, 1]."""
    withheld: Hit | None = None
    """What the cache would have answered if its tier were on."""
    coalesced_with: str = ""
    """The answer id of the question that it was written for, if that is another one, which also bears the costs."""
    cached_answer_id: ClassVar = ""

    @property
    def origin(self) -> Origin:
        """Where the answer came from, as its caller sees it."""
        return ORIGINS[self.answer.outcome]


@dataclass(frozen=True, slots=True)
class Reanswered:
    """A question with the answer that the cache had for it and a fresh one."""

    served_answer_id: str
    caller: Caller
    release: ReleaseRef
    question: str
    hit: Hit
    withheld: bool
    """Whether the caller was given the fresh answer: the hit's tier was switched off."""
    fresh_answer_id: str
    fresh: Answer
    time: datetime
    """When the fresh answer was there."""


@dataclass(frozen=True, slots=True)
class Started:
    """The first event of every answer."""

    answer_id: str
    release: ReleaseRef


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the text."""

    text: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A sentence of the text so far is settled."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of every answer."""

    answer_id: str
    release: ReleaseRef
    asked: Asked
    result: Hit | Generated
    total_seconds: float

    @property
    def spending(self) -> Spending:
        """What condensing and answering took."""
        return self.asked.spending + self.result.spending


Event = Started | Delta | Claimed | Completed


def conversation_state(turns: Sequence[Turn]) -> str:
    """One name for what was said so far, 64 hexadecimal digits: the SHA-256 of the turns as they were given.

    Who comes with the same turns, to the letter, knows what they hold, and is in the same state.
    """
    said = [[turn.role.value, turn.text] for turn in turns]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def joined(question: Question, reason: str) -> Condensation:
    """The question after what the user said before it: what can be done when nobody condenses it."""
    said = next((turn.text for turn in reversed(question.turns) if turn.role is Role.USER), "")
    room = min(MAX_JOINED_CHARACTERS, MAX_QUESTION_CHARACTERS - len(question.text) - 1)
    before = " ".join(said.split())[: max(0, room)]
    if not before:
        return Condensation(question.text, question.text, Method.UNCHANGED, reason)
    return Condensation(question.text, f"{before} {question.text}", Method.JOINED, reason)


def degraded_answer(written: str, passages: tuple[Passage, ...]) -> Answer:
    """The answer without generation: what was *written* so far, not checked, then an extract of the best passage.

    With no passage there is nothing to answer from, and the answer is a refusal.
    """
    gap = "\n\n" if written else ""
    addition = _told(extract(passages[0].text)) if passages else REFUSAL
    text = f"{written}{gap}{addition}"
    not_checked = (Claim(0, len(written), (), 0.0, ClaimStatus.NOT_CHECKED),) if written.strip() else ()
    if not passages:
        return Answer(text, not_checked, (), Outcome.REFUSED)
    cited = Claim(len(text) - len(addition), len(text), (1,), 1.0, ClaimStatus.ATTRIBUTED)
    return Answer(text, (*not_checked, cited), passages, Outcome.DEGRADED)


def extract(text: str) -> str:
    """The first sentences of the first paragraph of *text* that is not a heading, word for word."""
    prose = _PROSE.search(text)
    paragraph = (prose.group() if prose else text).strip()
    return " ".join(_SENTENCE_END.split(paragraph)[:EXTRACT_SENTENCES])


def _told(text: str) -> str:
    """*text*, which no guard of generation has seen, without what leaves in no answer."""
    for finding in reversed(scan(text, is_unsafe=is_harmful)):
        if finding.kind in LEFT_OUT:
            text = text[: finding.start] + placeholder(finding.kind) + text[finding.end :]
    return text


def _check(name: str, text: str, most: int) -> None:
    if not text.strip():
        raise Invalid.field(name, "is empty")
    if len(text) > most:
        raise Invalid.field(name, f"has {len(text):,} characters; at most {most:,} are allowed")
    if "\0" in text:
        raise Invalid.field(name, "holds a NUL character")
