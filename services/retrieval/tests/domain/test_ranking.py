"""How two rankings become one."""

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.ranking import MAX_QUERY_CHARACTERS, Query, fuse


def test_scores_are_stretched_over_each_list_and_weighed() -> None:
    dense = [("a", 0.9), ("b", 0.7), ("c", 0.5)]
    sparse = [("b", 12.0), ("d", 8.0), ("a", 4.0)]
    assert fuse(dense, sparse) == [
        ("b", pytest.approx(0.6 * 0.5 + 0.4)),
        ("a", pytest.approx(0.6)),
        ("d", pytest.approx(0.4 * 0.5)),
        ("c", pytest.approx(0.0)),
    ]


def test_what_both_lists_put_first_scores_one() -> None:
    assert fuse([("a", 0.9), ("b", 0.1)], [("a", 3.0), ("b", 1.0)])[0] == ("a", pytest.approx(1.0))


def test_a_list_without_differences_counts_in_full() -> None:
    assert fuse([("a", 0.3)], [("a", 2.0), ("b", 2.0)]) == [("a", pytest.approx(1.0)), ("b", pytest.approx(0.4))]


def test_an_empty_list_leaves_the_other() -> None:
    assert fuse([("a", 0.9), ("b", 0.2)], []) == [("a", pytest.approx(0.6)), ("b", 0.0)]
    assert fuse([], []) == []


def test_equal_scores_keep_one_order() -> None:
    assert fuse([("b", 1.0), ("a", 1.0)], []) == fuse([("a", 1.0), ("b", 1.0)], [])


@pytest.mark.parametrize(
    ("text", "limit", "field"),
    [
        ("", 8, "query"),
        (" \n", 8, "query"),
        ("x" * (MAX_QUERY_CHARACTERS + 1), 8, "query"),
        ("x", 0, "page_size"),
        ("x", -1, "page_size"),
        ("x", 101, "page_size"),
    ],
)
def test_a_query_beyond_its_limits_is_refused(text: str, limit: int, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Query(text, limit)
    assert refusal.value.violations[0].field == field


def test_a_query_at_its_limits_is_not() -> None:
    assert Query("x" * MAX_QUERY_CHARACTERS, 100)
    assert Query("x", 1)
