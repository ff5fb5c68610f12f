"""The polling plan: a TOML file in which the operator names the sources that are polled."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from plumbline_kit.errors import Invalid
from plumbline_kit.settings import SettingsError
from plumbline_retrieval.domain.document import FACTS, Document
from plumbline_retrieval.domain.origin import Kind, PolledSource
from plumbline_retrieval.domain.source import DEFAULT_SOURCE, Trust

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_TAKEN: Final = {
    DEFAULT_SOURCE: "is where documents without a source belong",
    FACTS.strip("/"): "is where recorded facts belong",
}


@dataclass
class Table:
    """One table of a TOML file. What is wrong with it is noted, and told of all tables at once by `check`."""

    title: str
    values: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it must be there and not be empty."""
        value = self._value(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and (value or default is not None):
            return value
        self._wrong_value(name, value, "a text")
        return ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings that are not empty; nothing where it is left out."""
        value = self._value(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
            return tuple(value)
        self._wrong_value(name, value, "a list of texts")
        return ()

    def choice(self, name: str, values: Sequence[str], default: str | None = None) -> str:
        """One of *values*."""
        value = self._value(name, default)
        if value in values:
            return str(value)
        self._wrong_value(name, value, f"one of {', '.join(values)}")
        return values[0]

    def flag(self, name: str) -> bool:
        """True or false, which it is where it is left out."""
        value = self._value(name, False)
        if not isinstance(value, bool):
            self._wrong_value(name, value, "true or false")
        return value is True

    def length(self, name: str) -> timedelta | None:
        """A length of time, or None where it is left out."""
        value = self._value(name)
        if value is None:
            return None
        match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self._wrong_value(name, value, 'a length of time such as "30s", "5m", "2h" or "7d"')
            return None
        return timedelta(**{_UNITS[match[2]]: int(match[1])})

    def wrong(self, name: str, description: str) -> None:
        """Note that the field *name* is wrong."""
        self.problems.append(f"{self.title}: {name} {description}")

    def finish(self) -> None:
        """Note the fields that nobody asked for: as a rule they are misspelt."""
        for name in sorted(self.values.keys() - self._asked):
            self.wrong(name, f"is not known; known are {', '.join(sorted(self._asked))}")

    def _value(self, name: str, default: object = None) -> Any:
        self._asked.add(name)
        return self.values.get(name, default)

    def _wrong_value(self, name: str, value: object, wanted: str) -> None:
        self.wrong(name, f"is missing, wanted is {wanted}" if value is None else f"is {value!r}, wanted is {wanted}")


def read_tables(path: Path, name: str, title: str) -> list[Table]:
    """The [[*name*]] tables of a file; *title* is the field that tells them apart. Raises `SettingsError`."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    found = content.pop(name, [])
    if content or not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SettingsError(f"{path}: holds {', '.join(content) or name}, wanted are [[{name}]] tables alone")
    return [
        Table(f"[[{name}]] {number} ({each.get(title, 'without ' + title)})", each)
        for number, each in enumerate(found, 1)
    ]


def check(path: Path, tables: Sequence[Table]) -> None:
    """Raise `SettingsError` with all that is wrong in any of the tables."""
    problems = [problem for table in tables for problem in table.problems]
    if problems:
        raise SettingsError(f"{path}: {'; '.join(problems)}")


def check_tenant(table: Table, tenant: str) -> None:
    """Note a tenant that no key can hold."""
    if "/" in tenant or not tenant.isprintable():
        table.wrong("tenant", f"is {tenant!r}, wanted is a name without a slash")


def read_plan(path: Path) -> list[PolledSource]:
    """The sources of the plan, in order. Raises `SettingsError` that names each table and field that is wrong."""
    tables = read_tables(path, "source", "source_id")
    sources = [_source(table) for table in tables]
    times = Counter((source.tenant, source.source_id) for source in sources)
    for table, source in zip(tables, sources, strict=True):
        if times[source.tenant, source.source_id] > 1:
            table.wrong("source_id", f"is there more than once for the tenant {source.tenant}")
    check(path, tables)
    return sources


def _source(table: Table) -> PolledSource:
    interval = table.length("interval")
    if "interval" not in table.values:
        table.wrong("interval", 'is missing, wanted is a length of time such as "5m"')
    source = PolledSource(
        tenant=table.text("tenant"),
        source_id=table.text("source_id"),
        kind=Kind(table.choice("kind", [kind.value for kind in Kind])),
        location=table.text("location"),
        interval=interval or timedelta(hours=1),
        name=table.text("name", ""),
        owner=table.text("owner", ""),
        trust=Trust[table.choice("trust", [trust.name.lower() for trust in Trust], "medium").upper()],
        license=table.text("license", ""),
        refresh_interval=table.length("refresh_interval"),
        retention=table.length("retention"),
        groups=table.texts("groups"),
        language=table.text("language", ""),
        include=table.texts("include"),
        exclude=table.texts("exclude"),
        complete=table.flag("complete"),
    )
    table.finish()
    if not table.problems:
        _check(table, source)
    return source


def _check(table: Table, source: PolledSource) -> None:
    """What its source and each of its documents would be refused for later."""
    check_tenant(table, source.tenant)
    if source.source_id in _TAKEN:
        table.wrong("source_id", f"is {source.source_id!r}, which {_TAKEN[source.source_id]}")
    if source.kind is Kind.FEED and not _is_address(source.location):
        table.wrong("location", f"is {source.location!r}, wanted is an http or https URL without user and password")
    try:
        source.registered()
        Document("any", "", "any", groups=source.groups, language=source.language)
    except Invalid as error:
        for each in error.violations:
            table.wrong(each.field.rpartition(".")[2], each.description)


def _is_address(location: str) -> bool:
    try:
        parts = urlsplit(location)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:  # a port that is no number
        return False
