"""When an endpoint is left alone."""

import pytest

from plumbline_generation.domain.breaker import Breaker, BreakerSettings, BreakerState

SETTINGS = BreakerSettings(window_seconds=30, minimum_calls=4, failure_share=0.5, open_seconds=10)


def after(*results: bool | None, at: float = 0.0) -> Breaker:
    """A breaker that has seen these calls, each begun and ended at the same moment."""
    breaker = Breaker(SETTINGS)
    for well in results:
        breaker.end(breaker.begin(at), at, well)
    return breaker


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ((False, False, False), BreakerState.CLOSED),
        ((True, True, True, False), BreakerState.CLOSED),
        ((True, True, False, False), BreakerState.OPEN),
        ((None, None, False, False, False), BreakerState.CLOSED),
    ],
    ids=["few calls", "few failures", "half of them", "calls that say nothing"],
)
def test_it_opens_when_enough_of_enough_calls_failed(results: tuple[bool, ...], state: BreakerState) -> None:
    assert after(*results).state(0) is state


def test_calls_before_the_window_do_not_count() -> None:
    breaker = after(False, False, False)
    breaker.end(breaker.begin(31), 31, False)
    assert breaker.state(31) is BreakerState.CLOSED


def test_failures_leave_the_window_with_their_calls() -> None:
    breaker = after(False, False, True, True, True)
    for well in (True, False, False):
        breaker.end(breaker.begin(31), 31, well)
    assert breaker.state(31) is BreakerState.CLOSED
    breaker.end(breaker.begin(32), 32, True)
    assert breaker.state(32) is BreakerState.OPEN


def test_after_its_time_one_call_at_a_time_is_a_probe() -> None:
    breaker = after(*[False] * 4)
    assert not breaker.admits(9.9)
    assert breaker.state(10) is BreakerState.HALF_OPEN
    assert breaker.admits(10)
    breaker.begin(10)
    assert not breaker.admits(10)


@pytest.mark.parametrize(
    ("well", "state", "admits"),
    [(True, BreakerState.CLOSED, True), (False, BreakerState.OPEN, False), (None, BreakerState.HALF_OPEN, True)],
    ids=["well", "failed", "stopped"],
)
def test_a_probe_decides(well: bool | None, state: BreakerState, admits: bool) -> None:
    breaker = after(*[False] * 4)
    breaker.end(breaker.begin(10), 11, well)
    assert (breaker.state(11), breaker.admits(11)) == (state, admits)


def test_a_probe_that_speaks_lets_the_next_begin_and_the_first_to_end_decides() -> None:
    breaker = after(*[False] * 4)
    first = breaker.begin(10)
    breaker.spoke(first)
    assert breaker.admits(10)
    second = breaker.begin(10)
    assert not breaker.admits(10)
    breaker.end(second, 11, True)
    breaker.end(first, 12, False)
    assert breaker.state(12) is BreakerState.CLOSED


def test_a_call_from_before_it_opened_changes_nothing_afterwards() -> None:
    breaker = after(False, False, False)
    old = breaker.begin(0)
    breaker.end(breaker.begin(0), 0, False)
    breaker.end(old, 11, True)
    assert breaker.state(11) is BreakerState.HALF_OPEN


def test_it_is_open_for_as_long_as_the_server_asks_and_never_shorter_than_it_was() -> None:
    breaker = after()
    breaker.hold(0, 60)
    breaker.hold(1, 5)
    assert breaker.state(59) is BreakerState.OPEN
    assert breaker.state(60) is BreakerState.HALF_OPEN
