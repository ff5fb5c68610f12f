"""Where documents come from, how far it is trusted, and how soon what it said is out of date."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import Final

from plumbline_kit.errors import FieldViolation, Invalid

DEFAULT_SOURCE: Final = "default"
"""Every tenant has it: what names no source comes from there."""
MAX_LINE_CHARACTERS: Final = 500
LONGEST: Final = timedelta(days=36_525)

_ID: Final = re.compile(r"[a-z0-9._-]{1,100}")


class Trust(IntEnum):
    """How far a source is trusted."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Freshness(Enum):
    """Whether a passage may be out of date."""

    CURRENT = "current"
    STALE = "stale"
    """Not confirmed for longer than its source's refresh interval."""
    SUPERSEDED = "superseded"
    """A newer version was accepted and is not searchable."""


@dataclass(frozen=True, slots=True)
class Source:
    """A registered source. Raises `Invalid` with every field that is wrong."""

    source_id: str
    name: str = ""
    owner: str = ""
    kind: str = ""
    trust: Trust = Trust.MEDIUM
    refresh_interval: timedelta | None = None
    """Documents that were not confirmed for so long are stale; None means never."""
    retention: timedelta | None = None
    """Documents that were not confirmed for so long are deleted; None means never."""
    license: str = ""
    confirmed_at: datetime | None = None
    """When all of it was last found to be what the source still says."""

    def __post_init__(self) -> None:
        lines = {"name": self.name, "owner": self.owner, "kind": self.kind, "license": self.license}
        wrong = [*_wrong_id(self.source_id), *_wrong_lines(lines), *_wrong_durations(self)]
        if wrong:
            raise Invalid("; ".join(f"{each.field} {each.description}" for each in wrong), *wrong)

    def confirmed(self, submitted_at: datetime) -> datetime:
        """When a document of it that was submitted then was last known to be current."""
        return submitted_at if self.confirmed_at is None else max(submitted_at, self.confirmed_at)

    def freshness(self, submitted_at: datetime, now: datetime, *, superseded: bool) -> Freshness:
        """Of a document's live version that was submitted then."""
        if superseded:
            return Freshness.SUPERSEDED
        if self.refresh_interval is not None and now - self.confirmed(submitted_at) > self.refresh_interval:
            return Freshness.STALE
        return Freshness.CURRENT


def _wrong_id(source_id: str) -> Sequence[FieldViolation]:
    if _ID.fullmatch(source_id):
        return ()
    return (FieldViolation("source.source_id", "must have 1 to 100 characters of a-z, 0-9, dot, dash and underscore"),)


def _wrong_lines(lines: Mapping[str, str]) -> Sequence[FieldViolation]:
    return [
        FieldViolation(f"source.{name}", f"has {len(line):,} characters; at most {MAX_LINE_CHARACTERS} are allowed")
        for name, line in lines.items()
        if len(line) > MAX_LINE_CHARACTERS
    ]


def _wrong_durations(source: Source) -> Sequence[FieldViolation]:
    named = {"refresh_interval": source.refresh_interval, "retention": source.retention}
    return [
        FieldViolation(f"source.{name}", "must be longer than nothing and at most 100 years; leave it out for never")
        for name, length in named.items()
        if length is not None and not timedelta(0) < length <= LONGEST
    ]
