"""Budgets, days, and what a call is reckoned to take."""

import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from plumbline_generation.domain.attempts import NOT_COUNTED, AttemptOutcome, Usage
from plumbline_generation.domain.budget import Bill, Budgets, PromptBound, account_of, next_day


def test_a_tenant_has_its_own_budget_or_that_of_each() -> None:
    budgets = Budgets(1000, {"acme": 5000, "globex": math.inf, "initech": 0})
    assert [budgets.of(tenant) for tenant in ("acme", "globex", "initech", "other")] == [5000, None, 0, 1000]
    assert Budgets().of("acme") is None


def test_a_day_is_one_of_utc() -> None:
    late = datetime(2026, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    assert account_of("acme", late).day == date(2026, 1, 2)
    assert next_day(late) == datetime(2026, 1, 3, tzinfo=UTC)


def test_a_prompt_is_bounded_by_the_most_that_the_endpoint_has_told() -> None:
    bound = PromptBound()
    assert bound.of(100) == 150
    bound.learn(100, 0)
    assert bound.of(100) == 150
    bound.learn(100, 120)
    bound.learn(100, 90)
    assert bound.of(50) == 66


@pytest.mark.parametrize(
    ("bill", "tokens"),
    [
        (Bill(90, told=Usage(100, 7)), 107),
        (Bill(90, "three words here"), 93),
        (Bill(90), 93),
        (Bill(90, outcome=AttemptOutcome.TIMED_OUT), 93),
        (Bill(90, outcome=AttemptOutcome.UNREACHABLE), 0),
        (Bill(90, outcome=AttemptOutcome.RATE_LIMITED), 0),
    ],
)
def test_a_call_costs_what_was_told_else_what_was_counted(bill: Bill, tokens: int) -> None:
    assert bill.total(3) == tokens


def test_an_endpoint_that_tells_nothing_is_counted() -> None:
    bill = Bill(90)
    bill.finish(NOT_COUNTED)
    assert bill.total(3) == 93
