"""How near a new passage has to be to have been among the sources of a cached answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plumbline_cache.domain.addition import BY_WORDS, LEAST, UNKNOWN, least_similarity

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("farthest", "least"),
    [
        pytest.param(0.8, 0.8 - BY_WORDS, id="a_little_farther_its_words_may_bring_it_in"),
        pytest.param(0.35, LEAST, id="what_is_near_to_nothing_is_not_near"),
        pytest.param(None, UNKNOWN, id="one_source_was_found_by_its_words"),
    ],
)
def test_a_passage_has_to_be_about_as_near_as_the_farthest_source(
    entry: Make, farthest: float | None, least: float
) -> None:
    assert least_similarity(replace(entry("Why?"), least_similarity=farthest)) == pytest.approx(least)
