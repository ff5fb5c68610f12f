"""Sources, and when what they said is out of date."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.source import Freshness, Source

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source_id": ""}, "source.source_id"),
        ({"source_id": "The Wiki"}, "source.source_id"),
        ({"source_id": "x" * 101}, "source.source_id"),
        ({"owner": "x" * 501}, "source.owner"),
        ({"refresh_interval": timedelta(0)}, "source.refresh_interval"),
        ({"retention": -HOUR}, "source.retention"),
        ({"retention": timedelta(days=40_000)}, "source.retention"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Source(**({"source_id": "wiki"} | fields))
    assert [violation.field for violation in refusal.value.violations] == [field]


def test_a_document_is_stale_once_nobody_confirmed_it_for_the_refresh_interval() -> None:
    wiki = Source("wiki", refresh_interval=HOUR)
    assert wiki.freshness(NOON, NOON + HOUR, superseded=False) is Freshness.CURRENT
    assert wiki.freshness(NOON, NOON + 1.1 * HOUR, superseded=False) is Freshness.STALE
    confirmed = Source("wiki", refresh_interval=HOUR, confirmed_at=NOON + HOUR)
    assert confirmed.freshness(NOON, NOON + 1.1 * HOUR, superseded=False) is Freshness.CURRENT
    assert confirmed.confirmed(NOON) == NOON + HOUR


def test_a_source_without_a_schedule_never_grows_stale() -> None:
    assert Source("wiki").freshness(NOON, NOON + 99_999 * HOUR, superseded=False) is Freshness.CURRENT


def test_superseded_counts_more_than_stale() -> None:
    wiki = Source("wiki", refresh_interval=HOUR)
    assert wiki.freshness(NOON, NOON + 9 * HOUR, superseded=True) is Freshness.SUPERSEDED
