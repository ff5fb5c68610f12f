"""What an operator is told about a lookup."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore, Ready, WordEncoder
from plumbline_cache.domain.audit import Audit, Outcome
from plumbline_cache.domain.entry import Mark, Neighbour, Scope, Vector
from plumbline_cache.domain.explanation import Explained, Explanation
from plumbline_cache.domain.freshness import Floor
from plumbline_cache.domain.lookup import Hit, Miss, MissReason, Tier
from plumbline_cache.domain.uncacheable import Uncacheable
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.explain import ExplainLookup
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_kit.errors import Invalid
from plumbline_kit.testing import FakeClock

Make = Callable[..., Any]
SCOPE = Scope("acme", (), "default", "r1")
LAMP = "What does the Aurora lamp cost?"
PLEASE = "Please, what does the Aurora lamp cost?"


@dataclass
class Cache:
    """A cache that can be asked why."""

    clock: FakeClock
    store: MemoryStore = field(default_factory=MemoryStore)
    readiness: Ready = field(default_factory=Ready)

    def __post_init__(self) -> None:
        self.audits = AuditLedger(0.03, self.clock)

    async def keep(self, *entries: Any) -> None:
        for entry in entries:
            self.store.put(entry, await WordEncoder().encode(entry.question))

    async def explain(self, question: str, scope: Scope = SCOPE) -> Explanation:
        lookup = LookupAnswer(
            self.store,
            WordEncoder(),
            self.readiness,
            InlineTurns(),
            Tallies(),
            Uses(),
            self.audits,
            self.clock,
            semantic_threshold=0.85,
            semantic_certainty=0.8,
        )
        return await ExplainLookup(lookup)(scope, question)


@pytest.fixture
def cache(entry: Make) -> Cache:
    return Cache(FakeClock(entry("Why?").admit_time))


def failed(explained: Explained) -> dict[str, str]:
    """The details of checks that failed, by name."""
    return {check.name: check.detail for check in explained.checks if not check.passed}


async def test_a_hit_is_explained_by_its_entry_and_all_checks_that_it_passed(cache: Cache, entry: Make) -> None:
    await cache.keep(entry(LAMP, ("prices", 1, "h1")))
    told = await cache.explain("  what does the AURORA lamp cost ")
    assert isinstance(told.result, Hit)
    [own] = told.entries
    assert (own.tier, own.similarity, failed(own)) == (Tier.EXACT, 1.0, {})
    assert "aurora lamp" in told.normal_form


async def test_a_near_question_shows_its_similarity_and_what_differs(cache: Cache, entry: Make) -> None:
    await cache.keep(entry(LAMP, ("prices", 1, "h1")))
    told = await cache.explain("What does the Borealis lamp cost?")
    assert isinstance(told.result, Miss)
    [near] = told.entries
    assert near.tier is Tier.SEMANTIC
    assert failed(near).keys() == {"similarity", "names", "words", "certainty"}
    assert failed(near)["similarity"].endswith("0.85 is the least")


async def test_a_stale_entry_names_the_document_and_both_versions(cache: Cache, entry: Make) -> None:
    await cache.keep(entry(LAMP, ("prices", 1, "h1"), ("gone", 3, "h2")))
    cache.store.keep_floor(Floor("acme", "prices", 2))
    cache.store.keep_floor(Floor("acme", "gone", 4, deleted=True))
    told = await cache.explain(LAMP)
    assert isinstance(told.result, Miss)
    assert told.result.reason is MissReason.STALE
    assert failed(told.entries[0]) == {"sources": "prices is at version 2, known to hold up to 1; gone is deleted"}


async def test_an_entry_that_a_new_passage_marked_says_which_and_when(cache: Cache, entry: Make) -> None:
    kept = entry(LAMP, ("prices", 1, "h1"))
    await cache.keep(replace(kept, mark=Mark(kept.admit_time, "news", 2, "h9")))
    told = await cache.explain(LAMP)
    assert isinstance(told.result, Miss)
    assert told.result.reason is MissReason.REVALIDATING
    assert failed(told.entries[0])["new passages"].startswith("one of news came at 2026-03-01 12:00 UTC")


async def test_an_entry_whose_time_is_over_says_until_when_it_was_served(cache: Cache, entry: Make) -> None:
    await cache.keep(entry(LAMP, ("prices", 1, "h1")))
    cache.clock.advance(timedelta(days=8).total_seconds())
    told = await cache.explain(LAMP)
    assert failed(told.entries[0]) == {"time to live": "until 2026-03-08 12:00 UTC"}


async def test_a_tier_that_audits_switched_off_and_an_entry_they_found_wrong_say_so(cache: Cache, entry: Make) -> None:
    one = entry(LAMP, ("prices", 1, "h1"))
    await cache.keep(one)
    for number in range(20):
        audit = Audit(cache.clock.now(), str(number), SCOPE.key, "acme", Tier.SEMANTIC, one.id, 0.99, Outcome.DIFFERENT)
        cache.audits.add(audit)
    told = await cache.explain(PLEASE)
    assert isinstance(told.result, Miss)
    assert failed(told.entries[0]).keys() == {"audits of the entry", "tier"}


async def test_asking_why_needs_a_question(cache: Cache) -> None:
    with pytest.raises(Invalid, match="question"):
        await cache.explain(" ")


async def test_entries_of_another_scope_are_no_part_of_the_explanation(cache: Cache, entry: Make) -> None:
    await cache.keep(entry(LAMP, scope=Scope("acme", ("hr",), "default", "r1")))
    told = await cache.explain(LAMP)
    assert (told.entries, told.result.vector is not None) == ([], True)


async def test_a_question_of_a_class_that_is_never_cached_says_which(cache: Cache) -> None:
    told = await cache.explain("Where is my order?")
    assert isinstance(told.result, Miss)
    assert (told.result.reason, told.never_cached) == (MissReason.NEVER_CACHED, Uncacheable.PERSONAL)


class Careless(MemoryStore):
    """Finds what is near in any scope."""

    def nearest(self, scope: Scope, vector: Vector, *, least: float, limit: int) -> Sequence[Neighbour]:
        return [Neighbour(entry, 1.0) for entry in self.of_tenant("acme")]


async def test_what_an_engine_finds_in_another_scope_is_not_shown(cache: Cache, entry: Make) -> None:
    cache.store = Careless()
    await cache.keep(entry(LAMP, scope=Scope("acme", ("hr",), "default", "r1")))
    assert (await cache.explain(LAMP)).entries == []
