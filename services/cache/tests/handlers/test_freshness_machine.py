"""Whatever the order, the repeats, the delays and the crashes: no answer whose source changed is served.

Hypothesis makes up a world: documents that change, answers that are generated from whatever the index held at some
time, people who want entries gone, and the facts of all that on their way. It hands the facts to the cache in any
order, again and again, several at once, and lets the process or the log fail in between. A plain model that knows
the whole history says what may be served, and looks after every single write.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore, Ready, WordEncoder
from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.entry import Scope, entry_id
from plumbline_cache.domain.lookup import Hit, Miss
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal
from plumbline_cache.handlers.admit import Admitted
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import Store
from plumbline_kit.errors import Unavailable
from services.cache.tests.handlers.failing import Killed, UnsteadyAnnouncer, WatchedStore
from services.cache.tests.handlers.freshness_world import (
    DOCUMENTS,
    QUESTIONS,
    TEXTS,
    Changed,
    Fact,
    World,
    is_served_under_strict,
    vectors_of,
)

Make = Callable[..., Any]
T = TypeVar("T")

ORDERS = st.integers(0, 2**32).map(Random)
"""A seed each: an order drawn fact by fact would use up what Hypothesis lets an example draw."""
SHARES = st.sampled_from((0.5, 0.8, 1))
LIVES = st.sampled_from((0, 3, 8, 20))
LIFETIME = timedelta(days=7)
SCOPE = Scope("acme", (), "default", "r1")
PASSAGES = tuple(sorted(TEXTS))
PLACES = {question: entry_id(SCOPE, question) for question in QUESTIONS}
OF_THE_FIRST = (
    Selection(Kind.TENANT),
    Selection.release("default", "r1"),
    Selection(Kind.DOCUMENT, DOCUMENTS[0]),
    Selection(Kind.ERASED_DOCUMENT, DOCUMENTS[0]),
    Selection.question(QUESTIONS[0]),
    Selection(Kind.ENTRY, PLACES[QUESTIONS[0]]),
)
"""Each selects answers to the first question that rest on the first document."""
SELECTIONS = (
    *OF_THE_FIRST,
    Selection.release("default", "r2"),
    Selection(Kind.DOCUMENT, DOCUMENTS[1]),
    Selection(Kind.ERASED_DOCUMENT, DOCUMENTS[1]),
    *map(Selection.question, QUESTIONS[1:]),
    *(Selection(Kind.ENTRY, PLACES[question]) for question in QUESTIONS[1:]),
)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What *work* returns, with nobody's turn in between."""
    try:
        while True:
            work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result


class FreshnessMachine(RuleBasedStateMachine):
    """The world, the facts on their way, and one cache."""

    make_cache: Make
    make_candidate: Make
    seen: Counter[str]
    """What happened in all worlds together: a rule that never had to hold shows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loop, self.ending = asyncio.new_event_loop(), ExitStack()
        self.ending.callback(self.loop.close)
        self.world = World(type(self).make_candidate, at_once(vectors_of(WordEncoder())))
        self.store, self.announcer = WatchedStore(self.open_store(), self.look), UnsteadyAnnouncer()
        self.on_their_way: list[Fact] = []
        self.heard: list[Fact] = []
        """Handled to the end, at least once."""
        self.admitted: set[str] = set()
        self._begin()

    def open_store(self) -> Store:
        raise NotImplementedError

    @initialize()
    def there_are_documents(self) -> None:
        for document in DOCUMENTS:
            self.on_their_way.append(self.world.change(document, frozenset(PASSAGES), forgets=True))

    @rule(data=st.data(), order=ORDERS, share=SHARES, lives=LIVES, failures=st.integers(0, 3))
    def life_goes_on(self, data: st.DataObject, order: Random, share: float, lives: int, failures: int) -> None:
        """Things happen, and some of the facts on their way are heard in some order.

        Both in one rule: Hypothesis leaves rules out of an example, and neither may be missing.
        """
        self._happen(data)
        self.store.lives, self.announcer.failures = lives, failures
        for fact in order.sample(self.on_their_way, math.floor(share * len(self.on_their_way))):
            self._hear_or_fail(fact)
        self.store.lives = self.announcer.failures = 0

    @rule(data=st.data(), order=ORDERS)
    def facts_are_heard_at_the_same_time(self, data: st.DataObject, order: Random) -> None:
        """Meanwhile a document changes in the index, and people ask."""
        self._happen(data)
        together = order.choices(self.on_their_way, k=5)

        async def change() -> None:
            await asyncio.sleep(0)
            self.on_their_way.append(self._change(data))

        async def hear_all() -> None:
            await asyncio.gather(*map(self._hear, together), change(), *map(self._ask, QUESTIONS))

        self._run(hear_all())
        self.on_their_way = [fact for fact in self.on_their_way if fact not in together]

    @rule(document=st.sampled_from(DOCUMENTS), passage=st.sampled_from(PASSAGES), order=ORDERS)
    def a_passage_goes_and_comes_back(self, document: str, passage: str, order: Random) -> None:
        """An answer that rests on what came back is heard at once, the document's steps are in any order."""
        others = frozenset(PASSAGES) - {passage}
        steps = [self.world.change(document, each) for each in (others, others | {passage})]
        answer = self.world.answer(QUESTIONS[0], [(document, self.world.ticks, passage)], ticks=0)
        further = (frozenset({passage, min(others)}), frozenset({passage}))
        steps += [self.world.change(document, each) for each in further]
        self._run(self._hear(answer))
        self._hear_shuffled(steps, order)

    @rule(selection=st.sampled_from(OF_THE_FIRST), order=ORDERS)
    def the_same_is_wanted_gone_again(self, selection: Selection, order: Random) -> None:
        """An answer that was begun between the two is heard last, the wishes are in any order."""
        change, first = self.world.change(DOCUMENTS[0], frozenset(PASSAGES)), self.world.withdraw(selection)
        sources = [(DOCUMENTS[0], change.change.new_version, PASSAGES[0])]
        answer = self.world.answer(QUESTIONS[0], sources, ticks=0)
        self._run(self._hear(change))
        self._hear_shuffled([first, self.world.withdraw(selection)], order)
        self._run(self._hear(answer))

    @rule(order=ORDERS)
    def facts_are_heard_again_by_a_new_process(self, order: Random) -> None:
        """Memory goes; the store and the log stay."""
        self._begin()
        for fact in order.sample(self.heard, min(3, len(self.heard))):
            self._run(self._hear(fact))

    @invariant()
    def look(self) -> None:
        """Nothing is served that a heard fact forbids, and with STRICT nothing that the index has no more."""
        for question, place in PLACES.items():
            if self.store.find(place) is not None:
                at_once(self._ask(question))

    @invariant()
    def nothing_is_told_to_be_gone_but_what_a_fact_took_away(self) -> None:
        for notice in self.announcer.told:
            answer = self.world.answers[notice.answer_id]
            removals = self.world.removals(answer)
            changed = any(removed == notice.document and at <= notice.version for removed, at in removals)
            assert changed or _is_withdrawn(answer, self.world.withdrawals)

    def teardown(self) -> None:
        """Once everything was heard: what is kept is served or waits to be revalidated, and what went was told."""
        with self.ending:
            for fact in self.on_their_way:
                self._run(self._hear(fact))
            self._assert_settled()

    def _assert_settled(self) -> None:
        held = set(self.cache.held())
        results = [at_once(self.lookup(SCOPE, question)) for question in QUESTIONS]
        assert {answer_id for result in results for answer_id in _names(result)} == held
        for answer_id in held:
            assert not self.world.removals(self.world.answers[answer_id])
        for result in results:
            if isinstance(result, Miss) and result.withheld is not None:
                answer = self.world.answers[result.withheld.entry.answer_id]
                assert any(self.world.near(answer, self.heard))
        self._assert_told(held)

    def _assert_told(self, held: set[str]) -> None:
        """All that went, unless a later answer has its place."""
        self.nothing_is_told_to_be_gone_but_what_a_fact_took_away()
        assert [n for document in (*DOCUMENTS, "") for n in self.store.notices("acme", document)] == []
        for answer_id in self.admitted - held - {notice.answer_id for notice in self.announcer.told}:
            answer = self.world.answers[answer_id]
            others = (self.world.answers[other] for other in self.admitted - {answer_id})
            assert any(other.question == answer.question for other in others)

    def _begin(self) -> None:
        self.cache = type(self).make_cache(self.store, self.announcer)
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

    def _happen(self, data: st.DataObject) -> None:
        happen = {"an answer": self._answer, "a change": self._change, "a withdrawal": self._withdraw}
        weighted = ["an answer"] * 6 + ["a change"] * 4 + ["a withdrawal"]
        for what in data.draw(st.lists(st.sampled_from(weighted), min_size=3, max_size=6), label="happens"):
            self.on_their_way.append(happen[what](data))

    def _hear_shuffled(self, told: Sequence[Fact], order: Random) -> None:
        for fact in order.sample(told, len(told)):
            self._run(self._hear(fact))

    def _hear_or_fail(self, fact: Fact) -> None:
        """Where the process dies or the log is away the fact comes again."""
        try:
            self._run(self._hear(fact))
        except Killed:
            self._begin()
        except Unavailable:
            pass
        else:
            self.on_their_way.remove(fact)

    async def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Changed):
            await self.cache.follow(fact.change)
            await self.cache.mark([(each, self.world.vectors[TEXTS[each.passage]]) for each in fact.additions])
        elif isinstance(fact, Withdrawal):
            await self.cache.follow_withdrawals(fact)
        else:
            before = list(self.heard)
            if isinstance(await self.cache.admit(fact), Admitted):
                assert not _is_forbidden(fact, before, self.world)
                self.admitted.add(fact.answer_id)
        self.heard.append(fact)

    async def _ask(self, question: str) -> None:
        """The index may change between the cache's word and its own."""
        result = await self.lookup(SCOPE, question)
        if not isinstance(result, Hit):
            return
        answer = self.world.answers[result.entry.answer_id]
        self._judge(answer)
        await asyncio.sleep(0)
        if is_served_under_strict(result.entry.answer, self.world):
            assert self.world.stands(answer)
            self.seen["served under strict"] += 1
        else:
            self.seen["changed before the cache heard of it"] += 1

    def _judge(self, answer: Candidate) -> None:
        assert not _is_forbidden(answer, self.heard, self.world)
        # A change counts from the moment that the floor is raised, also where the process died right afterwards.
        floors = self.store.floors("acme", DOCUMENTS).values()
        assert self.world.removals(answer).isdisjoint((floor.document, floor.version) for floor in floors)
        assert not any(self.world.unseen(answer, self.heard))

    def _answer(self, data: st.DataObject) -> Candidate:
        """From what a search found at some time: it may have been overtaken by changes since."""
        sources: list[tuple[str, int, str]] = []
        for document in data.draw(st.sampled_from((DOCUMENTS[:1], DOCUMENTS[1:], DOCUMENTS)), label="documents"):
            versions = [version for version in reversed(self.world.histories[document]) if version.passages]
            seen = data.draw(st.sampled_from(versions), label="version")
            passages = data.draw(st.sets(st.sampled_from(sorted(seen.passages)), min_size=1), label="passages")
            sources += [(document, seen.number, passage) for passage in sorted(passages)]
        question = data.draw(st.sampled_from(QUESTIONS), label="question")
        return self.world.answer(question, sources, ticks=data.draw(st.sampled_from((0, 2, 5)), label="ticks"))

    def _change(self, data: st.DataObject) -> Changed:
        """It adds passages that were not there and takes away some that were."""
        document = data.draw(st.sampled_from(DOCUMENTS), label="document")
        step = data.draw(st.frozensets(st.sampled_from(PASSAGES), min_size=1, max_size=2), label="step")
        passages = self.world.histories[document][-1].passages ^ step
        return self.world.change(document, passages, forgets=data.draw(st.booleans(), label="forgets"))

    def _withdraw(self, data: st.DataObject) -> Withdrawal:
        """Something, or the same as somebody wanted gone before."""
        before = [withdrawal.selection for withdrawal in self.world.withdrawals]
        again = before and data.draw(st.booleans(), label="again")
        return self.world.withdraw(data.draw(st.sampled_from(before if again else SELECTIONS), label="selection"))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)


def _is_forbidden(answer: Candidate, heard: Sequence[Fact], world: World) -> bool:
    """Whether one of the facts took *answer* away."""
    changes = {(fact.change.document, fact.change.new_version) for fact in heard if isinstance(fact, Changed)}
    withdrawals = (fact for fact in heard if isinstance(fact, Withdrawal))
    return not world.removals(answer).isdisjoint(changes) or _is_withdrawn(answer, withdrawals)


def _is_withdrawn(answer: Candidate, withdrawals: Iterable[Withdrawal]) -> bool:
    entry = answer.admitted(answer.generate_time, LIFETIME)
    return any(withdrawal.covers(entry) for withdrawal in withdrawals)


def _names(result: Hit | Miss) -> Iterator[str]:
    hit = result if isinstance(result, Hit) else result.withheld
    if hit is not None:
        yield hit.entry.answer_id


@pytest.fixture
def run(writing: Make, candidate: Make) -> Callable[..., Counter[str]]:
    """Runs the machine on stores made by *opens*, and says what was seen."""

    def run(opens: Callable[[ExitStack], Store], *, examples: int, steps: int) -> Counter[str]:
        happened = Counter[str]()

        class Machine(FreshnessMachine):
            make_cache = staticmethod(writing)
            make_candidate = staticmethod(candidate)
            seen = happened

            def open_store(self) -> Store:
                return opens(self.ending)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
        return happened

    return run


def in_memory(_: ExitStack) -> Store:
    return MemoryStore()


def on_the_engine(ending: ExitStack) -> Store:
    folder = ending.enter_context(TemporaryDirectory())
    store = QdrantStore.open(Path(folder) / "shard", WordEncoder.dimensions)
    ending.callback(store.close)
    return store


def test_no_answer_whose_source_changed_is_served(run: Callable[..., Counter[str]]) -> None:
    seen = run(in_memory, examples=30, steps=10)
    assert seen["served under strict"]
    assert seen["changed before the cache heard of it"]


def test_the_same_holds_on_the_real_engine(run: Callable[..., Counter[str]]) -> None:
    seen = run(on_the_engine, examples=10, steps=5)
    assert seen["served under strict"]
    assert seen["changed before the cache heard of it"]
