"""Fakes of the front door's ports: each does what its fields say and keeps what it was asked."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from plumbline_gateway.domain import (
    Answer,
    Asked,
    Assignment,
    Caller,
    Claim,
    Completed,
    Condensation,
    Embedding,
    Generated,
    KeptAnswer,
    Lookup,
    Method,
    Outcome,
    Passage,
    PassageRef,
    Question,
    Reanswered,
    ReleaseRef,
    Spending,
)
from plumbline_kit.errors import Invalid, PlumblineError


def a_passage(text: str = "The Aurora desk lamp costs 49 euros. It is in stock.", document_id: str = "lamp") -> Passage:
    """The third version of a document of one passage."""
    return Passage(PassageRef(document_id, 3, "ab" * 32), "Aurora", "", text, 0, len(text), 1.0)


def an_answer(text: str = "It costs 49 euros.", outcome: Outcome = Outcome.ANSWERED) -> Answer:
    """One claim that cites one passage."""
    return Answer(text, (Claim(0, len(text), (1,), 1.0),), (a_passage(),), outcome)


def kept(answer: Answer) -> KeptAnswer:
    """*answer* as the cache keeps it, without the content, which nothing looks into before it goes out."""
    return KeptAnswer(answer.text, tuple(source.ref for source in answer.sources), b"")


@dataclass
class FakeCache:
    """Answers every lookup alike, or fails alike."""

    lookup_result: Lookup = field(default_factory=lambda: Lookup(miss_reason="NOT_FOUND"))
    error: PlumblineError | None = None
    questions: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)

    async def lookup(self, question: str, release: ReleaseRef, conversation: str) -> Lookup:
        """See `AnswerCache`."""
        self.questions.append(question)
        self.conversations.append(conversation)
        if self.error:
            raise self.error
        return self.lookup_result


@dataclass
class FakeSearch:
    """Finds the same passages for every question."""

    passages: tuple[Passage, ...] = field(default_factory=lambda: (a_passage(),))
    current: bool = True
    error: PlumblineError | None = None
    encoder_id: str = "encoder"
    wordings: list[tuple[str, ...]] = field(default_factory=list)
    embeddings: list[Embedding | None] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    verified: list[PassageRef] = field(default_factory=list)

    async def search(self, wordings: Sequence[str], limit: int, embedding: Embedding | None) -> tuple[Passage, ...]:
        """See `PassageSearch`."""
        self.wordings.append(tuple(wordings))
        self.embeddings.append(embedding)
        self.limits.append(limit)
        if self.error:
            raise self.error
        if embedding is not None and embedding.encoder_id != self.encoder_id:
            raise Invalid.field("embedding", f"is not of {self.encoder_id}")
        return self.passages

    async def all_current(self, sources: Sequence[PassageRef]) -> bool:
        """See `PassageSearch`."""
        self.verified.extend(sources)
        if self.error:
            raise self.error
        return self.current


@dataclass
class FakeCondenser:
    """Makes *standalone* of every question by *method*, or fails with *error*."""

    standalone: str = "How heavy is the Aurora desk lamp?"
    method: Method = Method.RULE
    spending: Spending = field(default_factory=Spending)
    error: PlumblineError | None = None
    questions: list[Question] = field(default_factory=list)

    async def condense(self, question: Question, release: ReleaseRef) -> Asked:
        """See `QuestionCondenser`."""
        self.questions.append(question)
        if self.error:
            raise self.error
        standalone = question.text if self.method is Method.UNCHANGED else self.standalone
        return Asked(standalone, Condensation(question.text, standalone, self.method), self.spending)


@dataclass
class FakeGenerator:
    """Writes *deltas*, then fails with *error* or finishes with *generated*. With *permits* each step takes one."""

    deltas: Sequence[str | Claim] = ("It costs ", "49 euros.")
    generated: Generated = field(default_factory=lambda: Generated(an_answer(), model="small-model", recorded=True))
    error: PlumblineError | None = None
    assignments: list[Assignment] = field(default_factory=list)
    stopped_early: bool = False
    permits: asyncio.Semaphore | None = None

    async def generate(self, assignment: Assignment) -> AsyncGenerator[str | Claim | Generated, None]:
        """See `AnswerGenerator`."""
        self.assignments.append(assignment)
        try:
            for delta in self.deltas:
                await self._turn()
                yield delta
            await self._turn()
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped_early = True
            raise
        if self.error:
            raise self.error
        yield self.generated

    async def _turn(self) -> None:
        """As from a network: what was written is read before the next piece comes."""
        if self.permits is not None:
            await self.permits.acquire()
        await asyncio.sleep(0)


@dataclass
class FakeAuditLog:
    """Keeps both answers, or fails alike."""

    error: PlumblineError | None = None
    told: list[Reanswered] = field(default_factory=list)

    async def reanswered(self, both: Reanswered) -> None:
        """See `AuditLog`."""
        if self.error:
            raise self.error
        self.told.append(both)


@dataclass
class FakeAnnouncer:
    """Keeps what was served."""

    told: list[tuple[Completed, Caller]] = field(default_factory=list)

    def served(self, answer: Completed, caller: Caller) -> None:
        """See `Announcer`."""
        self.told.append((answer, caller))
