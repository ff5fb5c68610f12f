"""How many entries there may be, and what each is worth."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from plumbline_cache.domain.entry import Saving
from plumbline_cache.domain.room import Bounds, surplus, worth

Make = Callable[..., Any]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("counts", "bounds", "expected"),
    [
        pytest.param({}, Bounds(10, 5), {}, id="empty"),
        pytest.param({"a": 5, "b": 5}, Bounds(10, 5), {}, id="full"),
        pytest.param({"a": 8, "b": 1}, Bounds(10, 5), {"a": 3}, id="one_over_its_bound"),
        pytest.param({"a": 9, "b": 2}, Bounds(10, 50), {"a": 1}, id="all_over_theirs"),
        pytest.param({"a": 9, "b": 8, "c": 1}, Bounds(10, 50), {"a": 5, "b": 4}, id="equal_shares"),
        pytest.param({"a": 1, "b": 1, "c": 1}, Bounds(2, 50), {"a": 1, "b": 1, "c": 1}, id="more_tenants_than_room"),
    ],
)
def test_who_has_most_gives_first(counts: Mapping[str, int], bounds: Bounds, expected: Mapping[str, int]) -> None:
    assert surplus(counts, bounds) == expected


def test_who_holds_no_more_than_an_equal_share_loses_nothing_whatever_the_others_do() -> None:
    rng = Random(11)
    for _ in range(300):
        counts = {f"tenant-{number}": rng.choice([1, 5, 40, 2_000]) for number in range(rng.randint(1, 8))}
        bounds = Bounds(rng.choice([10, 100, 5_000]), rng.choice([5, 300]))
        gone = surplus(counts, bounds)
        left = {tenant: count - gone.get(tenant, 0) for tenant, count in counts.items()}
        assert all(0 <= left[tenant] <= bounds.per_tenant for tenant in counts)
        assert sum(left.values()) <= bounds.entries
        fair = bounds.entries // len(counts)
        assert all(left[tenant] == count for tenant, count in counts.items() if count <= min(fair, bounds.per_tenant))
        assert all(gone.values())


def test_more_hits_and_more_saved_by_each_are_worth_more(entry: Make) -> None:
    later = NOON + timedelta(hours=5)
    plain = worth(entry("q"), 3, later)
    assert worth(entry("q"), 4, later) > plain
    assert worth(entry("q", saving=Saving(seconds=2.0)), 3, later) > plain
    assert worth(entry("q", saving=Saving(prompt_tokens=150, completion_tokens=40)), 3, later) > plain


def test_what_is_no_longer_asked_for_is_worth_less_and_less(entry: Make) -> None:
    worths = [worth(entry("q"), 10, NOON + timedelta(hours=hours)) for hours in (0, 1, 24, 160)]
    assert worths == sorted(worths, reverse=True)
    assert worth(entry("q"), 10, NOON + timedelta(days=7)) == 0


def test_a_new_entry_is_worth_more_than_an_old_one_nobody_asked_for_and_less_than_a_popular_one(entry: Make) -> None:
    later = NOON + timedelta(hours=24)
    new = worth(replace(entry("q"), admit_time=later), 0, later)
    assert worth(entry("q"), 0, later) < new < worth(entry("q"), 200, later)
