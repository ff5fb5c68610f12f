"""Offsets, progress, waits and the guard: no log, no time."""

from random import Random

import pytest

from plumbline_kit.bus import Backoff, TooManyInvalid
from plumbline_kit.bus.guard import InvalidGuard
from plumbline_kit.bus.offsets import ContiguousOffsets
from plumbline_kit.bus.progress import PartitionProgress


def offsets(*numbers):
    tracked = ContiguousOffsets()
    for number in numbers:
        tracked.add(number)
    return tracked


def test_nothing_may_be_committed_before_anything_came():
    assert offsets().next is None


def test_an_unfinished_offset_keeps_all_later_ones_back():
    tracked = offsets(5, 6, 7)
    tracked.finish(6)
    tracked.finish(7)
    assert (tracked.next, len(tracked)) == (5, 3)


def test_finishing_the_gap_frees_everything_behind_it():
    tracked = offsets(5, 6, 7)
    for number in (7, 6, 5):
        tracked.finish(number)
    assert (tracked.next, len(tracked)) == (8, 0)


def test_holes_in_the_log_are_no_gaps():
    tracked = offsets(5, 9, 20)
    tracked.finish(5)
    assert tracked.next == 9
    tracked.finish(9)
    assert tracked.next == 20


def test_offsets_must_grow():
    with pytest.raises(ValueError, match="offset 4 after 5"):
        offsets(5).add(4)


def test_whatever_the_order_of_finishing_the_next_offset_is_the_first_unfinished():
    random = Random(3)
    for _ in range(200):
        numbers = sorted(random.sample(range(100), 20))
        tracked, left = offsets(*numbers), list(numbers)
        for number in random.sample(numbers, 20):
            tracked.finish(number)
            left.remove(number)
            assert tracked.next == (left[0] if left else numbers[-1] + 1)


def test_an_unknown_partition_is_not_caught_up_and_an_empty_one_is():
    progress = PartitionProgress()
    assert not progress.caught_up(None, 0)
    progress.reached(0)
    assert progress.caught_up(None, 0)


def test_what_came_after_the_first_look_need_not_be_caught_up_with():
    progress = PartitionProgress()
    progress.observe(10)
    progress.observe(50)
    assert not progress.caught_up(9, 1)
    assert progress.caught_up(10, 4)
    assert progress.lag(10, 4) == 40


def test_markers_at_the_end_count_as_handled_once_the_end_is_reached():
    progress = PartitionProgress()
    progress.observe(12)
    assert not progress.caught_up(11, 0)
    progress.reached(12)
    assert progress.caught_up(11, 0)
    assert progress.lag(11, 0) == 0


def test_an_open_transaction_above_the_readable_end_does_not_keep_back():
    progress = PartitionProgress()
    progress.observe(20)
    progress.reached(15)
    assert progress.caught_up(15, 0)


@pytest.mark.parametrize(("failures", "full"), [(1, 0.2), (2, 0.4), (5, 3.2), (9, 30.0), (5_000, 30.0)])
def test_waits_double_up_to_a_limit_with_jitter(failures, full):
    backoff = Backoff(random=Random(1))
    waits = [backoff.seconds(failures) for _ in range(200)]
    assert full / 2 <= min(waits) < max(waits) <= full


def feed(guard, outcomes):
    for invalid in outcomes:
        if invalid:
            guard.allow_invalid()
        guard.saw(invalid=invalid)


def test_a_fifth_of_invalid_records_is_bearable():
    feed(InvalidGuard(), [False, False, False, False, True] * 500)


def test_more_than_a_fifth_is_not():
    with pytest.raises(TooManyInvalid):
        feed(InvalidGuard(), [True, False, False, False] * 500)


def test_the_first_records_do_not_count_as_a_share():
    feed(InvalidGuard(), [True] * 49)


def test_old_records_are_forgotten():
    guard = InvalidGuard()
    feed(guard, [False] * 10_000 + [True] * 200)
    with pytest.raises(TooManyInvalid):
        feed(guard, [True])
