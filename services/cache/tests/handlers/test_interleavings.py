"""Whatever the order, the delay, the repeats and the crashes: nothing stale is served, and every drop is told.

A world of documents is made up from a seed, with answers that were generated from it. The cache hears of both
in random order. A plain model that knows the whole history says what may be served.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, TypeAlias

import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryAnnouncer, MemoryStore, Ready, WordEncoder
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.entry import Scope
from plumbline_cache.domain.freshness import Change, Notice, cause_of_drop, is_fresh
from plumbline_cache.domain.lookup import Hit
from plumbline_cache.handlers.admit import Admitted
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import Store
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
Event: TypeAlias = Change | Candidate

DOCUMENTS = ("prices", "manual")
PASSAGES = ("h1", "h2", "h3", "h4")
QUESTIONS = ("What does the lamp cost?", "Is delivery free?", "Who repairs it?", "When is it open?")
SCOPE = Scope("acme", (), "default", "r1")


@dataclass(frozen=True)
class Version:
    """One version of a document; no passages: deleted."""

    number: int
    passages: frozenset[str]


@dataclass
class World:
    """Documents through time, and the answers generated from them."""

    rng: random.Random
    make_candidate: Make
    histories: dict[str, list[Version]] = field(default_factory=dict)
    answers: dict[str, Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = count(1)
        for document in DOCUMENTS:
            self.histories[document] = [Version(next(numbers), self._passages()) for _ in range(6)]
        for number in range(14):
            answer = self._answer(f"answer-{number}", number)
            self.answers[answer.answer_id] = answer

    def _passages(self) -> frozenset[str]:
        return frozenset(p for p in PASSAGES if self.rng.random() < 0.6) if self.rng.random() < 0.85 else frozenset()

    def _answer(self, answer_id: str, minute: int) -> Candidate:
        chosen = self.rng.sample(DOCUMENTS, self.rng.choice([1, 1, 2]))
        sources = [source for document in chosen for source in self._sources(document)]
        return self.make_candidate(self.rng.choice(QUESTIONS), *sources, answer_id=answer_id, minute=minute)

    def _sources(self, document: str) -> list[tuple[str, int, str]]:
        version = self.rng.choice([v for v in self.histories[document] if v.passages] or [Version(0, frozenset("h"))])
        passages = self.rng.sample(sorted(version.passages), min(len(version.passages), self.rng.choice([1, 2])))
        return [(document, version.number, passage) for passage in passages]

    def changes(self) -> Iterator[Change]:
        for document, history in self.histories.items():
            yield Change("acme", document, -1, history[0].number, not history[0].passages, frozenset())
            for old, new in pairwise(history):
                was_deleted = not old.passages
                old_number = -1 if was_deleted and self.rng.random() < 0.7 else old.number
                yield Change("acme", document, old_number, new.number, not new.passages, old.passages & new.passages)

    def events(self) -> list[Event]:
        """Everything at least once, some of it again, in any order."""
        events: list[Event] = [*self.changes(), *self.answers.values()]
        events += self.rng.sample(events, len(events) // 2)
        self.rng.shuffle(events)
        return events

    def content(self, document: str, number: int) -> frozenset[str]:
        return next(v.passages for v in self.histories[document] if v.number == number)

    def is_dropped(self, answer_id: str) -> bool:
        """Whether some change took a passage of the answer away after it was generated."""
        return any(
            v.number > s.version and s.passage not in v.passages
            for s in self.answers[answer_id].sources
            for v in self.histories[s.document]
        )


@dataclass
class Observed:
    """A cache under test and what can be said of it at any time."""

    world: World
    cache: Any
    heard: dict[str, int] = field(default_factory=dict)
    admitted: set[str] = field(default_factory=set)
    must_be_told: set[str] = field(default_factory=set)

    async def hear(self, event: Event) -> None:
        if isinstance(event, Change):
            await self.cache.follow(event)
            self.heard[event.document] = max(self.heard.get(event.document, -1), event.new_version)
        else:
            self._note_half_dropped(event)
            outcome = await self.cache.admit(event)
            self.admitted |= {event.answer_id} if isinstance(outcome, Admitted) else set()

    def _note_half_dropped(self, answer: Candidate) -> None:
        """A crash may have left in this answer's place one that is dropped and not yet gone."""
        held = self.cache.store.find(answer.entry_id)
        if held is not None and cause_of_drop(held, self.cache.store.floors("acme", held.documents)):
            self.must_be_told.add(held.answer_id)

    async def served(self) -> list[Candidate]:
        clock = self.cache.clock
        lookup = LookupAnswer(
            self.cache.store,
            WordEncoder(),
            Ready(),
            InlineTurns(),
            Tallies(),
            Uses(),
            AuditLedger(0.03, clock),
            clock,
            semantic_threshold=0.95,
            semantic_certainty=0.8,
        )
        results = [await lookup(SCOPE, question) for question in QUESTIONS]
        return [self.world.answers[result.entry.answer_id] for result in results if isinstance(result, Hit)]

    async def assert_nothing_stale_is_served(self) -> None:
        heard = dict(self.heard)
        for answer in await self.served():
            for source in answer.sources:
                newest = heard.get(source.document, -1)
                if newest > source.version:
                    assert source.passage in self.world.content(source.document, newest)

    async def assert_settled(self) -> None:
        """Once everything was heard: what is kept is served, and what went was told, and rightly."""
        held = self.cache.held()
        told = {notice.answer_id for notice in self.cache.announcer.told}
        floors = self.cache.store.floors("acme", DOCUMENTS)
        assert all(floor.changes == () for floor in floors.values())
        assert all(is_fresh(entry, floors) for entry in held.values())
        assert {answer.answer_id for answer in await self.served()} == set(held)
        assert all(self.world.is_dropped(answer_id) for answer_id in told)
        assert not any(self.world.is_dropped(answer_id) for answer_id in held)
        places = {self.world.answers[answer_id].entry_id for answer_id in held}
        gone = self.admitted - set(held) - told
        assert all(
            self.world.answers[answer_id].entry_id in places or self._was_replaced(answer_id) for answer_id in gone
        )
        assert [n for d in (*DOCUMENTS, "") for n in self.cache.store.notices("acme", d)] == []

    def _was_replaced(self, answer_id: str) -> bool:
        place = self.world.answers[answer_id].entry_id
        return any(self.world.answers[other].entry_id == place for other in self.admitted - {answer_id})


@pytest.fixture
def observed(writing: Make, candidate: Make) -> Make:
    def make(seed: int, store: Store | None = None, announcer: MemoryAnnouncer | None = None) -> Observed:
        return Observed(World(random.Random(seed), candidate), writing(store, announcer))

    return make


@pytest.mark.parametrize("seed", range(25))
async def test_any_order_serves_nothing_stale_and_ends_settled(observed: Make, seed: int) -> None:
    seen = observed(seed)
    for event in seen.world.events():
        await seen.hear(event)
        await seen.assert_nothing_stale_is_served()
    await seen.assert_settled()


@pytest.mark.parametrize("seed", range(20))
async def test_events_handled_at_the_same_time_end_settled(observed: Make, seed: int) -> None:
    seen = observed(seed)
    events = seen.world.events()
    while events:
        batch, events = events[:6], events[6:]
        await asyncio.gather(*map(seen.hear, batch), seen.assert_nothing_stale_is_served())
        await seen.assert_nothing_stale_is_served()
    await seen.assert_settled()


class Killed(Exception):
    """The process died."""


class MortalStore(MemoryStore):
    """Dies before one of its next writes; what was written stays."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng, self._lives = rng, rng.randint(1, 12)

    def __getattribute__(self, name: str) -> Any:
        if name in {"put", "carry", "drop", "keep_floor", "add_notice", "remove_notice"}:
            self._lives -= 1
            if self._lives == 0:
                self._lives = self._rng.randint(1, 12)
                raise Killed
        return super().__getattribute__(name)


class UnsteadyAnnouncer(MemoryAnnouncer):
    """Fails every third time; the fact may have arrived all the same."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    async def entry_invalidated(self, notice: Notice) -> None:
        if self._rng.random() < 0.2:
            raise Unavailable("the log is away")
        await super().entry_invalidated(notice)
        if self._rng.random() < 0.2:
            raise Unavailable("the log has it, but did not say so")


@pytest.mark.parametrize("seed", range(25))
async def test_a_crash_between_any_two_steps_is_healed_by_hearing_again(observed: Make, seed: int) -> None:
    rng = random.Random(seed + 1_000)
    seen = observed(seed, MortalStore(rng), UnsteadyAnnouncer(rng))
    pending = seen.world.events()
    while pending:
        event = pending.pop(0)
        try:
            await seen.hear(event)
        except (Killed, Unavailable):
            pending.insert(rng.randint(0, min(3, len(pending))), event)
        await seen.assert_nothing_stale_is_served()
    await seen.assert_settled()
    ids = [(n.entry_id, n.answer_id, n.document, n.version) for n in seen.cache.announcer.told]
    assert len(set(ids)) == len({n.id for n in seen.cache.announcer.told})
