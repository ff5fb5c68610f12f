"""Samples by name."""

import pytest

from plumbline_kit.sampling import is_sampled

NAMES = [f"answer-{number}" for number in range(4_000)]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_about_the_share_is_in_the_sample(share: float) -> None:
    assert sum(is_sampled(name, share) for name in NAMES) == pytest.approx(share * len(NAMES), rel=0.15)


def test_nothing_is_in_no_sample_and_everything_in_the_whole() -> None:
    assert not any(is_sampled(name, 0.0) for name in NAMES)
    assert all(is_sampled(name, 1.0) for name in NAMES)


def test_a_smaller_sample_is_part_of_a_greater_one() -> None:
    assert all(is_sampled(name, 0.5) for name in NAMES if is_sampled(name, 0.1))
