"""Whatever the order, the repeats, the delays and the crashes: no answer whose source changed is served.

Hypothesis makes up a world: documents that change, answers that are generated from whatever the index held at some
time, people who want entries gone, and the facts of all that on their way. It hands the facts to the cache in any
order, again and again, several at once, and lets the process or the log fail in between. A plain model that knows
the whole history says what may be served.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from plumbline_cache.adapters.memory import InlineTurns, MemoryAnnouncer, MemoryStore, Ready, WordEncoder
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.entry import Scope, entry_id
from plumbline_cache.domain.freshness import Change, Notice
from plumbline_cache.domain.lookup import Hit
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]
Fact: TypeAlias = Change | Candidate | Withdrawal

DOCUMENTS = ("prices", "manual")
PASSAGES = ("h1", "h2", "h3")
QUESTIONS = ("What does the lamp cost?", "Is delivery free?", "Who repairs it?")
LIFETIME = timedelta(days=7)
SCOPE = Scope("acme", (), "default", "r1")
WRITES = frozenset(("put", "carry", "drop", "keep_floor", "keep_withdrawal", "add_notice", "remove_notice"))


class Killed(Exception):
    """The process died."""


class MortalStore(MemoryStore):
    """Dies before the write that `lives` says; what was written stays."""

    lives = 0
    """0: for ever."""

    def __getattribute__(self, name: str) -> Any:
        if name in WRITES and self.lives:
            self.lives -= 1
            if not self.lives:
                raise Killed
        return super().__getattribute__(name)


class UnsteadyAnnouncer(MemoryAnnouncer):
    """The log is away for the next tellings; of every second one it has the fact all the same."""

    failures = 0

    async def entry_invalidated(self, notice: Notice) -> None:
        if self.failures % 2 == 0:
            await super().entry_invalidated(notice)
        if self.failures:
            self.failures -= 1
            raise Unavailable("the log is away")


@dataclass(frozen=True)
class Version:
    """One version of a document; no passages: deleted."""

    number: int
    passages: frozenset[str] = frozenset()


@dataclass
class World:
    """All that ever was, whatever the cache has heard of it."""

    histories: dict[str, list[Version]] = field(default_factory=lambda: {name: [Version(-1)] for name in DOCUMENTS})
    answers: dict[str, Candidate] = field(default_factory=dict)
    version: int = 0
    minute: int = 0

    def change(self, document: str, passages: frozenset[str], *, forgets: bool) -> Change:
        """The next version; one that *forgets* follows a deletion as if there had never been a version."""
        history = self.histories[document]
        old, self.version = history[-1], self.version + 1
        history.append(Version(self.version, passages))
        number = -1 if forgets and not old.passages else old.number
        return Change("acme", document, number, self.version, not passages, old.passages & passages)

    def removals(self, answer: Candidate) -> set[tuple[str, int]]:
        """Document and version of every change that took away what *answer* rests on."""
        return {
            (source.document, version.number)
            for source in answer.sources
            for version in self.histories[source.document]
            if version.number > source.version and source.passage not in version.passages
        }

    def stands(self, answer: Candidate) -> bool:
        """Whether the index holds every passage now: what STRICT asks of it."""
        return all(source.passage in self.histories[source.document][-1].passages for source in answer.sources)


class FreshnessMachine(RuleBasedStateMachine):
    """The world, the facts on their way, and one cache."""

    make_cache: Make
    make_candidate: Make

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.store, self.announcer = MortalStore(), UnsteadyAnnouncer()
        self.cache = type(self).make_cache(self.store, self.announcer)
        self.on_their_way: list[Fact] = []
        self.heard: list[Fact] = []
        """Handled to the end, at least once."""
        self.lookup = LookupAnswer(
            self.store,
            WordEncoder(),
            Ready(),
            InlineTurns(),
            Tallies(),
            Uses(),
            AuditLedger(0.03, self.cache.clock),
            self.cache.clock,
            semantic_threshold=0.95,
            semantic_certainty=0.8,
        )

    @initialize()
    def there_are_documents(self) -> None:
        for document in DOCUMENTS:
            self.on_their_way.append(self.world.change(document, frozenset(PASSAGES), forgets=True))

    @rule(
        document=st.sampled_from(DOCUMENTS),
        passages=st.frozensets(st.sampled_from(PASSAGES)),
        forgets=st.booleans(),
    )
    def a_document_changes(self, document: str, passages: frozenset[str], forgets: bool) -> None:
        self.on_their_way.append(self.world.change(document, passages, forgets=forgets))

    @rule(data=st.data(), question=st.sampled_from(QUESTIONS))
    def an_answer_is_generated(self, data: st.DataObject, question: str) -> None:
        """From what a search found at some time: it may have been overtaken by changes since."""
        sources: list[tuple[str, int, str]] = []
        for document in data.draw(st.sets(st.sampled_from(DOCUMENTS), min_size=1), label="documents"):
            versions = [version for version in self.world.histories[document] if version.passages]
            seen = data.draw(st.sampled_from(versions), label="version")
            passages = data.draw(st.sets(st.sampled_from(sorted(seen.passages)), min_size=1), label="passages")
            sources += [(document, seen.number, passage) for passage in sorted(passages)]
        self.world.minute += 1
        answer_id = f"answer-{len(self.world.answers)}"
        answer = self.make_candidate(question, *sources, answer_id=answer_id, minute=self.world.minute)
        self.world.answers[answer_id] = answer
        self.on_their_way.append(answer)

    @rule(
        selection=st.one_of(
            st.sampled_from(
                [Selection(kind, name) for kind in (Kind.DOCUMENT, Kind.ERASED_DOCUMENT) for name in DOCUMENTS]
            ),
            st.sampled_from([Selection.question(question) for question in QUESTIONS]),
            st.sampled_from([Selection(Kind.ENTRY, entry_id(SCOPE, question)) for question in QUESTIONS]),
            st.sampled_from(
                [Selection(Kind.TENANT), Selection.release("default", "r1"), Selection.release("default", "r2")]
            ),
        )
    )
    def somebody_wants_entries_gone(self, selection: Selection) -> None:
        time = self.cache.clock.now().replace(hour=12, minute=self.world.minute % 60)
        self.on_their_way.append(Withdrawal(f"w{len(self.on_their_way)}-{self.world.minute}", "acme", selection, time))

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data(), lives=st.integers(0, 9), failures=st.integers(0, 3))
    def a_fact_is_heard(self, data: st.DataObject, lives: int, failures: int) -> None:
        """Any of them. Where the process dies or the log is away it comes again."""
        fact = data.draw(st.sampled_from(self.on_their_way), label="fact")
        self.store.lives, self.announcer.failures = lives, failures
        try:
            self._run(self._hear(fact))
        except (Killed, Unavailable):
            return
        finally:
            self.store.lives = self.announcer.failures = 0
        self.on_their_way.remove(fact)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def a_fact_is_heard_again(self, data: st.DataObject) -> None:
        self._run(self._hear(data.draw(st.sampled_from(self.heard), label="fact")))

    @precondition(lambda self: len(self.on_their_way) > 1)
    @rule(data=st.data())
    def facts_are_heard_at_the_same_time(self, data: st.DataObject) -> None:
        together = data.draw(st.lists(st.sampled_from(self.on_their_way), min_size=2, max_size=5), label="facts")

        async def hear_all() -> None:
            await asyncio.gather(*map(self._hear, together), *map(self._look_up, QUESTIONS))

        self._run(hear_all())
        self.on_their_way = [fact for fact in self.on_their_way if fact not in together]

    @rule()
    def the_process_begins_anew(self) -> None:
        """Its memory goes; the store and the log stay."""
        self.cache = type(self).make_cache(self.store, self.announcer)

    @invariant()
    def nothing_is_served_that_a_heard_fact_forbids(self) -> None:
        heard = {(fact.document, fact.new_version) for fact in self.heard if isinstance(fact, Change)}
        # From the moment that the floor is raised, also where the process died right afterwards.
        heard |= {(floor.document, floor.version) for floor in self.store.floors("acme", DOCUMENTS).values()}
        withdrawals = [fact for fact in self.heard if isinstance(fact, Withdrawal)]
        for answer in self._served():
            assert not self.world.removals(answer) & heard
            entry = self.store.find(answer.entry_id)
            assert entry is not None
            assert not any(withdrawal.covers(entry) for withdrawal in withdrawals)

    @invariant()
    def with_strict_nothing_is_served_that_ever_changed(self) -> None:
        """Once the index was asked whether the sources stand, facts on their way do no harm either."""
        for answer in self._served():
            if self.world.stands(answer):
                last = {name: history[-1].number for name, history in self.world.histories.items()}
                assert not any(number == last[document] for document, number in self.world.removals(answer))

    def teardown(self) -> None:
        """Once everything was heard: what is kept is served, what went was told, and nothing waits."""
        for fact in self.on_their_way:
            self._run(self._hear(fact))
        served = {answer.answer_id for answer in self._served()}
        held = set(self.cache.held())
        assert served == held
        for answer_id in held:
            assert not self.world.removals(self.world.answers[answer_id])
        told = {notice.answer_id for notice in self.announcer.told}
        wanted = [fact for fact in self.heard if isinstance(fact, Withdrawal)]
        for answer_id in told:
            answer = self.world.answers[answer_id]
            entry = answer.admitted(self.cache.clock.now(), LIFETIME)
            assert self.world.removals(answer) or any(withdrawal.covers(entry) for withdrawal in wanted)
        assert [n for document in (*DOCUMENTS, "") for n in self.store.notices("acme", document)] == []
        self.loop.close()

    async def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Change):
            await self.cache.follow(fact)
        elif isinstance(fact, Withdrawal):
            await self.cache.follow_withdrawals(fact)
        else:
            await self.cache.admit(fact)
        self.heard.append(fact)

    async def _look_up(self, question: str) -> Candidate | None:
        result = await self.lookup(SCOPE, question)
        return self.world.answers[result.entry.answer_id] if isinstance(result, Hit) else None

    def _served(self) -> list[Candidate]:
        found = [self._run(self._look_up(question)) for question in QUESTIONS]
        return [answer for answer in found if answer is not None]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)


def test_no_answer_whose_source_changed_is_served(writing: Make, candidate: Make) -> None:
    class Machine(FreshnessMachine):
        make_cache = staticmethod(writing)
        make_candidate = staticmethod(candidate)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
