"""Rates of false hits, and what they decide."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from scipy import stats

from plumbline_cache.domain.audit import (
    EARLY,
    WINDOW,
    WINDOW_TIME,
    Audit,
    FalseHits,
    Level,
    Outcome,
    Ruling,
    Window,
    enough,
    rule,
    wilson,
)
from plumbline_cache.domain.lookup import Tier

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def audit(number: int, outcome: Outcome = Outcome.SAME) -> Audit:
    """One a minute."""
    time = NOON + timedelta(minutes=number)
    return Audit(time, f"audit-{number}", "scope", "acme", Tier.SEMANTIC, "entry", 0.97, outcome)


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (3, 125), (250, 500), (0, 125)])
def test_the_interval_is_wilsons(count: int, total: int) -> None:
    known = stats.binomtest(count, total).proportion_ci(method="wilson")
    assert wilson(count, total) == pytest.approx((known.low, known.high), abs=1e-9)


def test_nothing_audited_is_nothing_known() -> None:
    assert (FalseHits().low, FalseHits().high) == (0.0, 1.0)


def test_what_is_undecided_is_wrong_in_the_upper_bound_only() -> None:
    hits = FalseHits(audited=200, false=2, undecided=4)
    assert hits.low == wilson(2, 200)[0]
    assert hits.high == wilson(6, 200)[1]


@pytest.mark.parametrize("target", [0.01, 0.03, 0.1])
def test_enough_is_the_least_number_of_audits_that_can_prove_the_target(target: float) -> None:
    assert FalseHits(enough(target)).high <= target < FalseHits(enough(target) - 1).high


def test_an_audit_counts_once_in_whatever_order_it_is_told() -> None:
    audits = [audit(number, Outcome.DIFFERENT if number % 7 == 0 else Outcome.SAME) for number in range(WINDOW + 50)]
    told = audits * 2
    random.Random(5).shuffle(told)
    window, in_order = Window(), Window()
    for one in told:
        window.add(one)
    for one in audits:
        in_order.add(one)
    now = audits[-1].time
    assert window.hits(now) == in_order.hits(now)
    assert window.hits(now).audited == WINDOW


def test_old_audits_no_longer_count() -> None:
    window = Window()
    window.add(audit(0, Outcome.DIFFERENT))
    window.add(audit(60))
    assert window.hits(NOON + timedelta(minutes=30)).false == 1
    assert window.hits(NOON + WINDOW_TIME) == FalseHits(audited=1)
    assert window.hits(NOON + 2 * WINDOW_TIME) == FalseHits()


def test_of_one_tenant_only_the_newest_count_where_all_are_looked_at() -> None:
    window = Window(most_of_a_tenant=3)
    for number in range(5):
        window.add(audit(number, Outcome.DIFFERENT if number < 2 else Outcome.SAME))
    window.add(replace(audit(9), id="another", tenant="globex"))
    assert window.hits(NOON) == FalseHits(audited=4)


def test_with_too_few_audits_near_questions_are_answered() -> None:
    levels = [(Level.SCOPE, FalseHits(5, 1)), (Level.TENANT, FalseHits(9, 2)), (Level.RELEASE, FalseHits(100, 1))]
    assert rule(levels, 0.03) == Ruling(off=False)


def test_the_upper_bound_switches_off_once_there_are_enough_audits() -> None:
    audited = enough(0.03)
    assert not rule([(Level.SCOPE, FalseHits(audited))], 0.03).off
    assert rule([(Level.SCOPE, FalseHits(audited, false=1))], 0.03).off
    assert rule([(Level.SCOPE, FalseHits(audited, undecided=1))], 0.03).off


def test_what_is_plainly_wrong_is_switched_off_early() -> None:
    assert rule([(Level.SCOPE, FalseHits(EARLY, false=5))], 0.03).off
    assert not rule([(Level.SCOPE, FalseHits(EARLY - 1, false=EARLY - 1))], 0.03).off


def test_the_narrowest_level_with_enough_audits_decides() -> None:
    good, bad, few = FalseHits(400), FalseHits(400, false=40), FalseHits(20)
    ruling = rule([(Level.SCOPE, few), (Level.TENANT, bad), (Level.RELEASE, good)], 0.03)
    assert (ruling.off, ruling.level, ruling.hits) == (True, Level.TENANT, bad)
    assert not rule([(Level.SCOPE, good), (Level.TENANT, bad)], 0.03).off


def test_a_mended_tier_comes_back_when_its_newest_audits_are_right() -> None:
    window, rulings = Window(), []
    for number in range(50 + WINDOW):
        window.add(audit(number, Outcome.DIFFERENT if number < 50 else Outcome.SAME))
        rulings.append(rule([(Level.SCOPE, window.hits(NOON))], 0.03).off)
    assert not rulings[0]
    assert rulings[50]
    assert not rulings[-1]
    assert sum(before != after for before, after in pairwise(rulings)) == 2
