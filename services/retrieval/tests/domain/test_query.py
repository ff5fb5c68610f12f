"""What may be searched for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.query import MAX_CHARACTERS, MAX_QUERIES, Filter, Query

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": ""}, "query"),
        ({"text": " \n"}, "query"),
        ({"text": "x" * (MAX_CHARACTERS + 1)}, "query"),
        ({"limit": 0}, "page_size"),
        ({"limit": -1}, "page_size"),
        ({"limit": 101}, "page_size"),
        ({"more": ("x",) * MAX_QUERIES}, "more_queries"),
        ({"more": ("",)}, "more_queries"),
        ({"neighbours": 4}, "neighbours"),
        ({"neighbours": -1}, "neighbours"),
        ({"diversity": 1.1}, "diversity"),
        ({"diversity": float("nan")}, "diversity"),
    ],
)
def test_a_query_beyond_its_limits_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Query(**({"text": "x"} | fields))
    assert refusal.value.violations[0].field == field


def test_a_query_at_its_limits_is_not() -> None:
    assert Query("x" * MAX_CHARACTERS, 100, ("x",) * (MAX_QUERIES - 1), neighbours=3, diversity=1)
    assert Query("x", 1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source_ids": ("x",) * 101}, "filter.source_ids"),
        ({"since": NOON, "until": NOON}, "filter.to_time"),
    ],
)
def test_a_filter_beyond_its_limits_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Filter(**fields)
    assert refusal.value.violations[0].field == field
