"""Change records of databases, as Debezium writes them, to documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any, Final

from plumbline_kit.errors import Invalid
from plumbline_retrieval.adapters.origins.plan import Table, check, check_tenant, read_tables
from plumbline_retrieval.domain.document import EVERYBODY, FACTS, MAX_ID_CHARACTERS, Document
from plumbline_retrieval.domain.source import Source

Row = Mapping[str, Any]

_UPSERTS: Final = ("c", "u", "r")
_DELETE: Final = "d"
_SNAPSHOT: Final = "r"
_ENVELOPE: Final = {"before", "after", "source", "op", "ts_ms", "ts_us", "ts_ns", "transaction", "message"}
_ABSENT: Final = "__debezium_unavailable_value"
"""Stands for a large value that did not change and that the database did not put into its log."""


@dataclass(frozen=True, slots=True)
class ChangeMapping:
    """How the rows of a topic become documents. Templates name columns in braces: "products/{id}"."""

    topic: str
    tenant: str
    source_id: str
    id: str
    text: str
    title: str = ""
    url: str = ""
    language: str = ""
    metadata: tuple[str, ...] = ()
    """Columns."""
    groups: str = ""
    """The column that names who may see a row: a list, or names with commas between; "*" stands for everybody.

    Without a column everybody in the tenant may. A row whose column is empty is refused: an empty audience would
    be everybody too.
    """


@dataclass(frozen=True, slots=True)
class _Change:
    """What a record says."""

    op: str
    row: Row
    changed_at: datetime | None = None
    before: Row | None = None
    """The row as it was, where the table logs that."""


@dataclass(frozen=True)
class ChangeRecords:
    """The records of one topic: with Debezium's envelope, or flattened by its `ExtractNewRecordState`."""

    mapping: ChangeMapping

    def documents(self, value: bytes | None, key: bytes | None) -> list[tuple[str, Document | None]]:
        """The ids that a record changes and what each is now; None means that it is deleted.

        A row whose audience names nobody is deleted: nobody may see it. Raises `Invalid` for what is no change of a
        row, for a column that the mapping names and the row lacks, and for a document that is refused.
        """
        if value is None:
            return self._tombstone(key)
        change = _change(_payload(value, "value"))
        columns = _key_columns(key)
        row = _Columns({**columns, **change.row})
        document_id = self._id(row)
        before = self._id_before(columns, change.before)
        left = [(before, None)] if before not in (None, document_id) else []
        is_gone = change.op == _DELETE or not self._is_for_somebody(row)
        return [*left, (document_id, None if is_gone else self._document(document_id, row, change.changed_at))]

    def _tombstone(self, key: bytes | None) -> list[tuple[str, Document | None]]:
        """What follows a deletion, or takes its place. One that does not name its document follows one that did."""
        try:
            return [(self._id(_key_columns(key)), None)]
        except Invalid:
            return []

    def _id_before(self, key_columns: Row, before: Row | None) -> str | None:
        """The document's id before its row changed; None where the record does not say."""
        try:
            return self._id({**key_columns, **before}) if before else None
        except Invalid:
            return None

    def _id(self, row: Row) -> str:
        columns = _Columns(row)
        for name in _columns(self.mapping.id):
            if columns[name] in (None, ""):
                raise Invalid(f"the column {name} is empty and part of the document's id")
        document_id = _filled(self.mapping.id, columns)
        if len(document_id) > MAX_ID_CHARACTERS or document_id != document_id.strip("/"):
            raise Invalid(f"{document_id[:100]!r} is no id: at most {MAX_ID_CHARACTERS} characters, no slash at an end")
        if document_id.startswith(FACTS) or not document_id.isprintable():
            raise Invalid(f"{document_id[:100]!r} is no id: it is not printable, or one of recorded facts")
        return document_id

    def _document(self, document_id: str, row: "_Columns", changed_at: datetime | None) -> Document:
        mapping = self.mapping
        return Document(
            document_id,
            _filled(mapping.title, row),
            _filled(mapping.text, row),
            _filled(mapping.url, row),
            self._groups(row),
            mapping.source_id,
            metadata=tuple(sorted((name, _shown(row[name])) for name in mapping.metadata if row[name] is not None)),
            language=_filled(mapping.language, row),
            content_time=changed_at,
        )

    def _groups(self, row: "_Columns") -> tuple[str, ...]:
        if not self.mapping.groups:
            return ()
        names = _names(row[self.mapping.groups])
        return () if names == (EVERYBODY,) else names

    def _is_for_somebody(self, row: "_Columns") -> bool:
        return not self.mapping.groups or bool(_names(row[self.mapping.groups]))


class _Columns(dict[str, Any]):
    """A row that says which column it lacks."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value == _ABSENT:
            raise Invalid(f"the record leaves out the column {name}: let the table log whole rows (REPLICA IDENTITY)")
        return value

    def __missing__(self, name: str) -> Any:
        raise Invalid(f"the record has no column {name}; it has {', '.join(sorted(self)[:50]) or 'none'}")


def read_change_mappings(path: Path) -> list[ChangeMapping]:
    """The [[table]] tables of a file. Raises `SettingsError` that names each table and field that is wrong."""
    tables = read_tables(path, "table", "topic")
    mappings = [_mapping(table) for table in tables]
    topics = [mapping.topic for mapping in mappings]
    for table, mapping in zip(tables, mappings, strict=True):
        if topics.count(mapping.topic) > 1:
            table.wrong("topic", "is there more than once")
    check(path, tables)
    return mappings


def _mapping(table: Table) -> ChangeMapping:
    mapping = ChangeMapping(
        topic=table.text("topic"),
        tenant=table.text("tenant"),
        source_id=table.text("source_id"),
        id=table.text("id"),
        text=table.text("text"),
        title=table.text("title", ""),
        url=table.text("url", ""),
        language=table.text("language", ""),
        metadata=table.texts("metadata"),
        groups=table.text("groups", ""),
    )
    table.finish()
    check_tenant(table, mapping.tenant)
    _check_source(table, mapping.source_id)
    for name in ("id", "title", "text", "url", "language"):
        _check_template(table, name, getattr(mapping, name))
    if mapping.id and not table.problems and not _columns(mapping.id):
        table.wrong("id", "names no column: all rows would be one document")
    return mapping


def _check_source(table: Table, source_id: str) -> None:
    try:
        Source(source_id)
    except Invalid as error:
        if source_id:
            table.wrong("source_id", error.violations[0].description)


def _check_template(table: Table, name: str, template: str) -> None:
    """A template may name columns and nothing else: it reaches into no value and formats none."""
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        table.wrong(name, f"is {template!r}: {error}")
        return
    if any(
        not column or set(column) & set(".[") or column.isdecimal() or spec or how for _, column, spec, how in parts
    ):
        table.wrong(name, f'is {template!r}, wanted are columns in braces, such as "{{id}}"')


def _columns(template: str) -> list[str]:
    return [column for _, column, _, _ in Formatter().parse(template) if column]


def _filled(template: str, row: "_Columns") -> str:
    return template.format_map({name: _shown(row[name]) for name in _columns(template)})


def _shown(value: object) -> str:
    """A value as its readers would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str) and value.startswith("["):
        value = _json(value.encode(), "column of groups")
    names = value.split(",") if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Invalid("the column of groups holds neither a list of names nor names with commas between")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _change(payload: Row) -> _Change:
    """Of a record's value, in either form."""
    if "op" in payload and payload.keys() <= _ENVELOPE:
        return _enveloped(payload)
    row = {name: value for name, value in payload.items() if not name.startswith("__")}
    is_deleted = str(payload.get("__deleted", "false")).lower() == "true"
    op = _DELETE if is_deleted else payload.get("__op", "u")
    return _Change(_known(op), row, _moment(op, payload.get("__source_ts_ms")))


def _enveloped(payload: Row) -> _Change:
    op = _known(payload["op"])
    name = "before" if op == _DELETE else "after"
    row = payload.get(name)
    if row is None and op == _DELETE:  # a table that logs no old rows: the key says which one it was
        row = {}
    if not isinstance(row, dict):
        raise Invalid(f"the record says {op!r} and has no {name!r}")
    source = payload.get("source")
    before = payload.get("before")
    moment = _moment(op, source.get("ts_ms") if isinstance(source, dict) else None)
    return _Change(op, row, moment, before if isinstance(before, dict) else None)


def _known(op: object) -> str:
    if op not in (*_UPSERTS, _DELETE):
        known = ", ".join((*_UPSERTS, _DELETE))
        raise Invalid(f"the record's operation is {str(op)[:100]!r}, and no change of a row: those are {known}")
    return str(op)


def _moment(op: object, milliseconds: object) -> datetime | None:
    """When the row changed; a snapshot only tells when it was taken."""
    if op == _SNAPSHOT:
        return None
    try:
        return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _key_columns(key: bytes | None) -> Row:
    """Of a record's key; nothing for one that is no row, which only a deletion needs."""
    try:
        return {} if key is None else _payload(key, "key")
    except Invalid:
        return {}


def _payload(data: bytes, part: str) -> Row:
    """The object inside, with or without the schema that the JSON converter can put around it."""
    content = _json(data, part)
    if isinstance(content, dict) and content.keys() == {"schema", "payload"}:
        content = content["payload"]
    if not isinstance(content, dict):
        raise Invalid(f"the record's {part} is no JSON object")
    return content


def _json(data: bytes, part: str) -> Any:
    try:
        return json.loads(data, parse_float=str)  # "12.50" stays as it is written
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the record's {part} is no JSON: {error}") from error
