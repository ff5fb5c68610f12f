"""Change records of Debezium to documents; the records are as its JSON converter writes them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from plumbline_kit.errors import Invalid
from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.change_records import ChangeMapping, ChangeRecords, read_change_mappings
from plumbline_retrieval.domain.document import Document

ROW = {"id": 7, "name": "Lamp", "body": "It is grey.", "price": 12.5, "slug": "lamp", "kind": "light", "stock": None}
LAMP = Document(
    "products/7",
    "Lamp",
    "Lamp costs 12.5 EUR.\nIt is grey.",
    "https://shop.example/lamp",
    (),
    "shop",
    (("kind", "light"),),
    "en",
    datetime(2026, 1, 1, tzinfo=UTC),
)
MAPPING = ChangeMapping(
    topic="shop.public.products",
    tenant="acme",
    source_id="shop",
    id="products/{id}",
    title="{name}",
    text="{name} costs {price} EUR.\n{body}",
    url="https://shop.example/{slug}",
    language="en",
    metadata=("kind", "stock"),
)
RECORDS = ChangeRecords(MAPPING)


def wire(content: object) -> bytes:
    return json.dumps(content).encode()


def envelope(op: str, before: object = None, after: object = None) -> dict[str, Any]:
    source = {"connector": "postgresql", "ts_ms": 1767225600000, "snapshot": "false", "table": "products"}
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1767225600123, "transaction": None}


def schema_of(payload: object) -> dict[str, object]:
    return {"schema": {"type": "struct", "fields": [], "name": "shop.public.products.Envelope"}, "payload": payload}


@pytest.mark.parametrize("op", ["c", "u"])
@pytest.mark.parametrize("with_schema", [False, True])
def test_a_created_or_updated_row_is_a_document(op: str, with_schema: bool) -> None:
    record = envelope(op, after=ROW)
    value = wire(schema_of(record) if with_schema else record)
    assert RECORDS.documents(value, wire({"id": 7})) == [("products/7", LAMP)]


def test_a_flattened_row_is_the_same_document() -> None:
    value = wire(ROW | {"__deleted": "false", "__op": "u", "__source_ts_ms": 1767225600000})
    assert RECORDS.documents(value, None) == [("products/7", LAMP)]


@pytest.mark.parametrize("value", [envelope("r", after=ROW), ROW | {"__op": "r", "__source_ts_ms": 1767225600000}, ROW])
def test_a_row_of_a_snapshot_or_without_a_time_does_not_say_when_it_changed(value: object) -> None:
    assert RECORDS.documents(wire(value), None) == [("products/7", replace(LAMP, content_time=None))]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (envelope("d", before=ROW), None),
        (envelope("d", before={"id": 7}), None),
        (envelope("d"), {"id": 7}),
        (ROW | {"__deleted": "true"}, None),
        (ROW | {"__deleted": True, "__op": "d"}, None),
        ({"id": 7, "__op": "d"}, None),
        (None, {"id": 7}),
        (None, schema_of({"id": 7})),
    ],
)
def test_a_deleted_row_is_a_deleted_document(value: object, key: object) -> None:
    record = None if value is None else wire(value)
    assert RECORDS.documents(record, None if key is None else wire(key)) == [("products/7", None)]


@pytest.mark.parametrize(
    ("value", "key", "said"),
    [
        (b"\xff\x00", None, "value is no JSON"),
        (b"[" * 100_000, None, "value is no JSON"),
        (b"[1]", None, "value is no JSON object"),
        (wire(envelope("x", after=ROW)), None, "operation is 'x', and no change of a row"),
        (wire({"op": "t", "source": {}, "ts_ms": 1}), None, "operation is 't'"),
        (wire(ROW | {"__op": "m"}), None, "operation is 'm'"),
        (wire(envelope("u")), None, "says 'u' and has no 'after'"),
        (wire(envelope("c", after=[1])), None, "has no 'after'"),
        (wire(envelope("c", after={"id": 7, "name": "Lamp"})), None, "has no column (price|slug|kind|body)"),
        (wire(envelope("c", after=ROW | {"id": None})), None, "column id is empty"),
        (wire(envelope("c", after=ROW | {"id": ""})), None, "column id is empty"),
        (wire(envelope("c", after=ROW | {"id": "x/"})), None, "is no id"),
        (wire(envelope("c", after=ROW | {"id": "x" * 600})), None, "is no id"),
        (wire(envelope("u", after=ROW | {"body": "__debezium_unavailable_value"})), None, "leaves out the column body"),
        (wire(envelope("c", after=ROW | {"name": "x" * 2000})), None, "document.title has 2,000 characters"),
    ],
)
def test_what_is_no_change_of_a_row_says_why(value: bytes | None, key: bytes | None, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        RECORDS.documents(value, key)


def test_a_row_cannot_take_the_place_of_a_fact() -> None:
    with pytest.raises(Invalid, match="recorded facts"):
        ChangeRecords(replace(MAPPING, id="{id}")).documents(wire(ROW | {"id": "facts/lamp/price"}), None)


def test_values_read_as_they_were_written() -> None:
    row = b'{"id": 7, "price": 12.50, "on": true, "none": null, "tags": ["a", "\xc3\xa9"]}'
    mapping = ChangeMapping("t", "acme", "shop", "{id}", "{price}|{on}|{none}|{tags}")
    [(_, document)] = ChangeRecords(mapping).documents(row, None)
    assert document is not None
    assert document.text == '12.50|true||["a", "é"]'


@pytest.mark.parametrize(
    ("audience", "groups"),
    [(["sales", "ops"], ("sales", "ops")), ("sales, ops", ("sales", "ops")), ('["sales"]', ("sales",)), ("*", ())],
)
def test_the_column_of_groups_says_who_may_see_a_row(audience: object, groups: tuple[str, ...]) -> None:
    records = ChangeRecords(replace(MAPPING, groups="audience"))
    [(_, document)] = records.documents(wire(ROW | {"audience": audience}), None)
    assert document is not None
    assert document.groups == groups


@pytest.mark.parametrize("audience", [None, "", [], " , ", "[]"])
def test_a_row_that_names_nobody_is_deleted(audience: object) -> None:
    records = ChangeRecords(replace(MAPPING, groups="audience"))
    assert records.documents(wire(ROW | {"audience": audience}), None) == [("products/7", None)]


@pytest.mark.parametrize("audience", [7, [1], {"a": 1}, "[nothing"])
def test_a_row_whose_audience_cannot_be_read_is_refused(audience: object) -> None:
    with pytest.raises(Invalid):
        ChangeRecords(replace(MAPPING, groups="audience")).documents(wire(ROW | {"audience": audience}), None)


def test_a_row_that_gets_another_id_leaves_the_old_document() -> None:
    record = envelope("u", before=ROW, after=ROW | {"id": 8})
    [left, (document_id, document)] = RECORDS.documents(wire(record), wire({"id": 7}))
    assert left == ("products/7", None)
    assert document_id == "products/8"
    assert document is not None


@pytest.mark.parametrize("key", [None, b"seven"])
def test_a_tombstone_that_names_no_document_says_nothing(key: bytes | None) -> None:
    assert RECORDS.documents(None, key) == []


MAPPED = """
[[table]]
topic = "shop.public.products"
tenant = "acme"
source_id = "shop"
id = "products/{id}"
title = "{name}"
text = "{name} costs {price} EUR.\\n{body}"
url = "https://shop.example/{slug}"
language = "en"
metadata = ["kind", "stock"]
"""


def mappings(tmp_path: Path, text: str) -> list[ChangeMapping]:
    path = tmp_path / "changes.toml"
    path.write_text(text, encoding="utf-8")
    return read_change_mappings(path)


def test_mappings_are_read_from_a_file(tmp_path: Path) -> None:
    assert mappings(tmp_path, MAPPED) == [MAPPING]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"products/{id}"', '"products"', "id names no column"),
        ('"products/{id}"', '"{id.__class__}"', "id is '{id.__class__}', wanted are columns in braces"),
        ('"{name}"', '"{0}"', "title is '{0}', wanted"),
        ('"{name}"', '"{name!r}"', "title is '{name!r}', wanted"),
        ('"{name}"', '"{name:>9}"', "title is '{name:>9}', wanted"),
        ('"{name}"', '"{name"', "title is '{name'"),
        ('"shop"', '"Shop!"', "source_id must have"),
        ('"acme"', '"a/b"', "tenant is 'a/b'"),
        ("topic =", "topics =", "topic is missing"),
        ('["kind", "stock"]', '"kind"', "metadata is 'kind', wanted is a list of texts"),
        ("[[table]]", MAPPED + "[[table]]", "topic is there more than once"),
    ],
)
def test_a_mistake_is_told_with_its_table_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        mappings(tmp_path, MAPPED.replace(old, new, 1))
    assert "changes.toml: [[table]] 1" in str(caught.value)
    assert said in str(caught.value)
