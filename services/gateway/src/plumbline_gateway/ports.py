"""What the front door needs from outside, in its own words. Each raises errors of the kit's tree."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from plumbline_gateway.domain import (
    Asked,
    Assignment,
    Caller,
    Claim,
    Completed,
    Embedding,
    Generated,
    Lookup,
    Passage,
    PassageRef,
    Question,
    Reanswered,
    ReleaseRef,
)


class AnswerCache(Protocol):
    """Remembers answers that passed evaluation."""

    async def lookup(self, question: str, release: ReleaseRef, conversation: str) -> Lookup:
        """What is remembered for *conversation*, unless that is empty, or for everybody.

        Answer within a short time limit of its own, or raise `DeadlineExceeded`.
        """
        ...


class PassageSearch(Protocol):
    """Finds passages and knows whether they are current."""

    async def search(self, wordings: Sequence[str], limit: int, embedding: Embedding | None) -> tuple[Passage, ...]:
        """The best passages for one question in at least one wording, best first; *embedding* is that of the first.

        Raises `Invalid` for a vector of another encoder.
        """
        ...

    async def all_current(self, sources: Sequence[PassageRef]) -> bool:
        """Whether every source is still part of its live document."""
        ...


class QuestionCondenser(Protocol):
    """Makes questions stand alone."""

    async def condense(self, question: Question, release: ReleaseRef) -> Asked:
        """Answer within a share of the caller's time, or raise `DeadlineExceeded`."""
        ...


class AnswerGenerator(Protocol):
    """Writes answers from passages."""

    def generate(self, assignment: Assignment) -> AsyncGenerator[str | Claim | Generated, None]:
        """Pieces of text as they are written, claims as sentences are settled, then the finished answer as the last.

        Closing the generator stops the writing.
        """
        ...


class Announcer(Protocol):
    """Tells the world that an answer was served."""

    def served(self, answer: Completed, caller: Caller) -> None:
        """Return at once; the fact follows in the background."""
        ...


class AuditLog(Protocol):
    """Takes both answers of a question to where they are compared."""

    async def reanswered(self, both: Reanswered) -> None:
        """Return when it is durable. Raises `Unavailable`; `Invalid` where it holds what is not to be kept."""
        ...
