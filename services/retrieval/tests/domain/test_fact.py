"""Facts and the documents that they become."""

from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.fact import Fact

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def price(**fields: Any) -> Fact:
    return Fact(
        **({"subject": "Aurora lamp", "attribute": "price", "value": "49", "since": NOON, "unit": "EUR"} | fields)
    )


def test_a_fact_becomes_a_sentence_that_says_since_when() -> None:
    document = price().document()
    assert document.text == "Aurora lamp: the price is 49 EUR since 1 March 2026, 12:00 UTC."
    assert (document.title, document.content_time) == ("Aurora lamp", NOON)
    assert dict(document.metadata) == {"attribute": "price", "subject": "Aurora lamp"}


def test_one_document_for_each_subject_and_attribute() -> None:
    assert price().document_id == price(subject="AURORA  lamp", value="68").document_id == "facts/aurora lamp/price"
    assert price(attribute="stock").document_id != price().document_id
    assert price(subject="a/b", attribute="c").document_id != price(subject="a", attribute="b/c").document_id


@pytest.mark.parametrize("field", ["subject", "attribute", "value"])
@pytest.mark.parametrize("text", ["", " ", "x" * 1_001, "a\nb"])
def test_a_wrong_field_is_named(field: str, text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        price(**{field: text})
    assert [violation.field for violation in refusal.value.violations] == [f"fact.{field}"]


def test_a_fact_that_is_taken_back_needs_no_value() -> None:
    assert price(value="", retracted=True)


@pytest.mark.parametrize("fields", [{"groups": ("*",)}, {"url": "x" * 2_001}, {"subject": "/" * 200}])
def test_what_would_make_no_document_is_refused_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        price(**fields)
