"""A made-up world of documents and answers, which knows what may be served whatever the cache has heard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import numpy as np

from plumbline.common.v1 import answer_pb2 as common
from plumbline_cache.domain.addition import UNKNOWN, Addition
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.entry import Saving, Vector
from plumbline_cache.domain.freshness import Change
from plumbline_cache.domain.withdrawal import Selection, Withdrawal

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK: Final = timedelta(seconds=20)
"""Between two things that happen."""

DOCUMENTS: Final = ("prices", "manual")
QUESTIONS: Final = ("What does the lamp cost?", "Is delivery free?", "Who repairs it?")
TEXTS: Final = {"h1": "The lamp does cost what?", "h2": "Delivery is free", "h3": "Our shop opens at nine"}
"""By passage hash. The first two are near to one question each, the third to none."""


@dataclass(frozen=True)
class Changed:
    """The fact that a document changed: what it took away and what it added."""

    change: Change
    additions: tuple[Addition, ...]


Fact: TypeAlias = Changed | Candidate | Withdrawal


@dataclass(frozen=True)
class Version:
    """One version of a document; no passages: deleted."""

    number: int
    passages: frozenset[str] = frozenset()


@dataclass
class World:
    """All that ever was. The newest versions are what the index holds: they are there before anybody hears of them."""

    make_candidate: Callable[..., Candidate]
    vectors: dict[str, Vector]
    """Of texts and questions."""
    histories: dict[str, list[Version]] = field(default_factory=lambda: {name: [Version(-1)] for name in DOCUMENTS})
    answers: dict[str, Candidate] = field(default_factory=dict)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    ticks: int = 0

    def change(self, document: str, passages: frozenset[str], *, forgets: bool = False) -> Changed:
        """The next version; one that *forgets* follows a deletion as if there had never been a version."""
        history, now = self.histories[document], self._now()
        old, version = history[-1], self.ticks
        history.append(Version(version, passages))
        number = -1 if forgets and not old.passages else old.number
        additions = (
            Addition("acme", document, version, each, frozenset(), now) for each in sorted(passages - old.passages)
        )
        change = Change("acme", document, number, version, not passages, old.passages & passages)
        return Changed(change, tuple(additions))

    def answer(self, question: str, sources: list[tuple[str, int, str]], *, ticks: int) -> Candidate:
        """One that took so many ticks, and says itself what it rests on."""
        self._now()
        answer_id = f"answer-{len(self.answers)}"
        refs = (common.PassageRef(document_id=d, version=v, passage_hash=h) for d, v, h in sources)
        answer = common.Answer(sources=[common.Passage(ref=ref) for ref in refs])
        candidate = self.make_candidate(question, *sources, answer_id=answer_id, saving=Saving(seconds=0.0))
        self.answers[answer_id] = replace(
            candidate,
            answer=answer.SerializeToString(),
            generate_time=NOON + self.ticks * TICK,
            saving=Saving(seconds=(min(ticks, self.ticks) * TICK).total_seconds()),
        )
        return self.answers[answer_id]

    def withdraw(self, selection: Selection) -> Withdrawal:
        """Somebody wants it gone now."""
        time = self._now()
        self.withdrawals.append(Withdrawal(f"withdrawal at {self.ticks}", "acme", selection, time))
        return self.withdrawals[-1]

    def removals(self, answer: Candidate) -> set[tuple[str, int]]:
        """Document and version of every change that took away what *answer* rests on."""
        return {
            (source.document, version.number)
            for source in answer.sources
            for version in self.histories[source.document]
            if version.number > source.version and source.passage not in version.passages
        }

    def unseen(self, answer: Candidate, facts: list[Fact]) -> Iterator[Addition]:
        """What came after *answer* was begun, lies near its question, and is not of a version that it rests on."""
        seen = {source.document: source.version for source in answer.sources}
        for addition in self.near(answer, facts):
            if seen.get(addition.document, -1) < addition.version:
                yield addition

    def near(self, answer: Candidate, facts: list[Fact]) -> Iterator[Addition]:
        """What came after *answer* was begun and lies near its question."""
        began = answer.generate_time - timedelta(seconds=answer.saving.seconds)
        for addition in (each for fact in facts if isinstance(fact, Changed) for each in fact.additions):
            cosine = np.dot(self.vectors[TEXTS[addition.passage]], self.vectors[answer.question])
            if addition.time >= began and cosine >= UNKNOWN:
                yield addition

    def holds(self, document: str, passage: str) -> bool:
        """Whether the index has the passage at this moment."""
        return passage in self.histories[document][-1].passages

    def stands(self, answer: Candidate) -> bool:
        """Whether the index has all that *answer* rests on at this moment."""
        return all(self.holds(source.document, source.passage) for source in answer.sources)

    def _now(self) -> datetime:
        self.ticks += 1
        return NOON + self.ticks * TICK


def is_served_under_strict(served: bytes, world: World) -> bool:
    """The rule of whoever asks the cache: the sources that the answer names are looked up in the index, by hash."""
    refs = [source.ref for source in common.Answer.FromString(served).sources]
    return all(world.holds(ref.document_id, ref.passage_hash) for ref in refs)


async def vectors_of(encoder: Any) -> dict[str, Vector]:
    """Of all texts and questions."""
    return {text: await encoder.encode(text) for text in (*TEXTS.values(), *QUESTIONS)}
