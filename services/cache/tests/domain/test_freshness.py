"""What a floor makes of the changes it hears, and of the entries above and under it."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from plumbline_cache.domain.freshness import (
    MAX_KEPT_CHANGES,
    Cause,
    Change,
    Floor,
    dropped,
    dropped_by,
    is_fresh,
    withdrawn,
)
from plumbline_cache.domain.withdrawal import Kind, Selection
from plumbline_kit.errors import Invalid

Make = Callable[..., Any]


def heard(*changes: Any) -> Floor:
    floor = Floor("acme", "prices")
    for change in changes:
        floor = floor.after(change)
    return floor


def test_an_old_change_never_lowers_the_floor(change: Make) -> None:
    floor = heard(change("prices", 2, 3, deleted=True), change("prices", 1, 2))
    assert (floor.version, floor.deleted) == (3, True)


def test_a_change_heard_twice_is_kept_once(change: Make) -> None:
    assert len(heard(change("prices", 1, 2), change("prices", 1, 2)).changes) == 1


def test_a_change_that_goes_back_is_invalid(change: Make) -> None:
    with pytest.raises(Invalid):
        change("prices", 2, 2)


def test_an_entry_is_fresh_while_nothing_newer_was_heard(change: Make, entry: Make) -> None:
    floors = {"prices": heard(change("prices", 1, 2))}
    assert is_fresh(entry("q", ("prices", 2, "h1"), ("manual", 1, "m")), floors)
    assert is_fresh(entry("q", ("prices", 3, "h1")), floors)
    assert not is_fresh(entry("q", ("manual", 1, "m"), ("prices", 1, "h1")), floors)


def test_nothing_is_fresh_at_a_deletion(change: Make, entry: Make) -> None:
    assert not is_fresh(entry("q", ("prices", 2, "h1")), {"prices": heard(change("prices", 1, 2, deleted=True))})


def test_a_surviving_passage_is_carried_over_an_unbroken_row_of_changes(change: Make, entry: Make) -> None:
    changes = [change("prices", 1, 2, removed=["x"]), change("prices", 2, 5), change("prices", 5, 9, removed=["y"])]
    for order in permutations(changes):
        floor = heard(*order)
        assert floor.cause_of_drop(entry("q", ("prices", 1, "h1"))) is None
        assert floor.carry(entry("q", ("prices", 1, "h1"))).sources[0].version == 9


def test_a_passage_waits_at_a_gap(change: Make, entry: Make) -> None:
    floor = heard(change("prices", 2, 3))
    carried = floor.carry(entry("q", ("prices", 1, "h1")))
    assert floor.cause_of_drop(carried) is None
    assert not is_fresh(carried, {"prices": floor})


def test_a_removed_passage_drops_by_the_first_change_that_removed_it_in_any_order(change: Make, entry: Make) -> None:
    first = change("prices", 1, 2, removed=["h1"])
    for order in permutations([first, change("prices", 2, 3), change("prices", 3, 4, removed=["h1"])]):
        assert heard(*order).cause_of_drop(entry("q", ("prices", 1, "h1"))) == first


def test_a_passage_that_came_back_is_not_dropped_by_the_change_before(change: Make, entry: Make) -> None:
    floor = heard(change("prices", 2, 3), change("prices", 1, 2, removed=["h1"]))
    assert floor.cause_of_drop(entry("q", ("prices", 3, "h1"))) is None


def test_a_change_of_another_document_drops_nothing(change: Make, entry: Make) -> None:
    assert not change("manual", 1, 2, removed=["h1"]).drops(entry("q", ("prices", 1, "h1")).sources[0])


def test_what_waits_too_long_is_dropped_by_the_newest_change(change: Make, entry: Make) -> None:
    late = [change("prices", version, version + 1) for version in range(5, 6 + MAX_KEPT_CHANGES)]
    waiting = entry("q", ("prices", 1, "h1"))
    assert heard(*late[:-1]).cause_of_drop(waiting) is None
    assert heard(*late).cause_of_drop(waiting) == late[-1]


def test_a_drop_has_one_id_however_often_it_is_told(change: Make, entry: Make, withdrawal: Make) -> None:
    gone, step = entry("q", ("prices", 1, "h1")), change("prices", 1, 2, removed=["h1"])
    now, later = gone.admit_time, gone.admit_time.replace(hour=23)
    assert dropped_by(gone, step, now).id == dropped_by(gone, step, later).id
    others = {
        dropped_by(gone, change("prices", 1, 3, removed=["h1"]), now).id,
        dropped_by(gone, change("manual", 1, 2, removed=["h1"]), now).id,
        dropped(gone, Cause.RELEASE, now).id,
        withdrawn(gone, withdrawal(Selection(Kind.TENANT)), now).id,
        withdrawn(gone, withdrawal(Selection(Kind.ERASED_DOCUMENT, "prices")), now).id,
    }
    assert len(others | {dropped_by(gone, step, now).id}) == 6


def test_a_passage_that_was_cut_by_another_rule_is_not_taken_for_kept(entry: Make) -> None:
    step = Change("acme", "prices", 1, 2, deleted=False, kept=frozenset(["cut elsewhere"]))
    assert step.drops(entry("q", ("prices", 1, "h1")).sources[0])
