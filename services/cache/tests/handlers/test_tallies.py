"""What is counted, and apart from what."""

from dataclasses import replace

from plumbline_cache.domain.entry import Cost, Saving, Scope
from plumbline_cache.domain.lookup import MissReason, Tier
from plumbline_cache.handlers.tallies import MOST_SCOPES, Tallies

SCOPE = Scope("acme", ("sales",), "default", "r1", "en")
SAVING = Saving(100, 10, 1.5, (Cost("EUR", 0.25),))


def test_savings_of_hits_add_up_with_currencies_apart() -> None:
    tallies = Tallies()
    tallies.add(SCOPE, Tier.EXACT, SAVING)
    tallies.add(SCOPE, Tier.SEMANTIC, replace(SAVING, costs=(Cost("USD", 1.0), Cost("EUR", 0.5))))
    tallies.add(SCOPE, MissReason.STALE)
    [row] = tallies.of("acme")
    assert row.saved == Saving(200, 20, 3.0, (Cost("EUR", 0.75), Cost("USD", 1.0)))
    assert row.counts == {Tier.EXACT: 1, Tier.SEMANTIC: 1, MissReason.STALE: 1}


def test_scopes_are_counted_apart_and_conversations_are_not() -> None:
    tallies, other = Tallies(), replace(SCOPE, groups=())
    tallies.add(SCOPE, MissReason.NOT_FOUND)
    tallies.add(replace(SCOPE, conversation="c1"), MissReason.NOT_FOUND)
    tallies.add(other, Tier.EXACT, SAVING)
    assert [row.scope for row in tallies.of("acme")] == [other, SCOPE]
    assert tallies.total("acme").counts == {Tier.EXACT: 1, MissReason.NOT_FOUND: 2}


def test_a_caller_that_names_many_releases_fills_no_memory() -> None:
    tallies = Tallies()
    for number in range(MOST_SCOPES + 50):
        tallies.add(replace(SCOPE, release=str(number)), MissReason.NOT_FOUND)
    rows = tallies.of("acme")
    assert len(rows) == MOST_SCOPES + 1
    assert [row.counts[MissReason.NOT_FOUND] for row in rows if row.scope is None] == [50]


def test_the_total_is_over_every_tenant_unless_one_is_named() -> None:
    tallies = Tallies()
    tallies.add(SCOPE, Tier.EXACT, SAVING)
    tallies.add(replace(SCOPE, tenant="globex"), Tier.EXACT, SAVING)
    assert tallies.total().saved.prompt_tokens == 200
    assert tallies.total("globex").saved == SAVING
    assert not tallies.of("initech")
