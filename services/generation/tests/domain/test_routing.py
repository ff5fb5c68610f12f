"""Who is asked first, and what it costs."""

import pytest

from plumbline_generation.domain.attempts import Cost, Usage
from plumbline_generation.domain.routing import Price, order


@pytest.mark.parametrize(
    ("draw", "positions"),
    [(0.0, [0, 1, 2]), (0.74, [0, 1, 2]), (0.75, [1, 0, 2]), (0.99, [1, 0, 2])],
)
def test_the_first_is_chosen_by_weight_and_the_rest_keep_their_order(draw: float, positions: list[int]) -> None:
    assert order([3, 1, 0], draw) == positions


def test_without_weights_the_order_is_what_it_is() -> None:
    assert order([0, 0], 0.9) == [0, 1]


def test_a_price_is_for_a_million_tokens() -> None:
    cost = Price(2.0, 8.0, "EUR").of(Usage(1_000, 250))
    assert cost == Cost("EUR", pytest.approx(0.004))


def test_what_was_not_counted_has_no_cost() -> None:
    assert Price(2.0, 8.0, "EUR").of(Usage()) is None
