"""Fakes of generation's ports, and things to answer from."""

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from plumbline_generation.domain.answer import Assignment, Passage, PassageRef
from plumbline_generation.domain.attempts import Usage
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.ports import Finish, Generated, Limits, ModelFailed
from plumbline_kit.release import Release


def a_passage(
    text: str = "The Aurora desk lamp costs 49 euros. It weighs 1.2 kilograms.",
    title: str = "Aurora desk lamp",
    document_id: str = "lamp",
) -> Passage:
    """The third version of a document of one passage."""
    return Passage(PassageRef(document_id, 3, "ab" * 32), title, "", text, 0, len(text), 1.0)


def an_assignment(
    release: Release,
    question: str = "How much does the Aurora desk lamp cost?",
    passages: Sequence[Passage] = (a_passage(),),
) -> Assignment:
    """A question that its one passage answers."""
    return Assignment(str(uuid.uuid4()), question, tuple(passages), release.application_id, release.id)


def words(text: str) -> list[tuple[int, int]]:
    """Offsets of tokens, where each word is one."""
    return [match.span() for match in re.finditer(r"\S+", text)]


@dataclass
class FakeModel:
    """Writes *pieces*, then fails with *failure*, hangs, or finishes with *finish*."""

    pieces: Sequence[str] = ("The Aurora desk lamp", " costs 49 euros.")
    finish: Finish = field(default_factory=lambda: Finish(usage=Usage(90, 9)))
    failure: str = ""
    hangs: bool = False
    asked: list[tuple[Prompt, Limits]] = field(default_factory=list)
    stopped_early: bool = False

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`."""
        self.asked.append((prompt, limits))
        try:
            for piece in self.pieces:
                yield piece
            if self.hangs:
                await asyncio.Event().wait()
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped_early = True
            raise
        if self.failure:
            raise ModelFailed(self.failure)
        yield self.finish


@dataclass
class FakeJournal:
    """Keeps every fact, or is away."""

    away: bool = False
    facts: list[Generated] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def record(self, fact: Generated, seconds: float) -> bool:
        """See `Journal`."""
        self.waits.append(seconds)
        if not self.away:
            self.facts.append(fact)
        return not self.away
