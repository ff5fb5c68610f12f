"""What is searched for, among what."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.document import Metadata
from plumbline_retrieval.domain.source import Trust

DEFAULT_PASSAGES: Final = 8
MAX_PASSAGES: Final = 100
MAX_CHARACTERS: Final = 8_000
MAX_QUERIES: Final = 8
MAX_NEIGHBOURS: Final = 3
MAX_VALUES: Final = 100
"""Of one field of a filter."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a passage's document must be; a field that is left out admits all."""

    source_ids: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    metadata: Metadata = ()
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive. Both look at when the content was changed, or at when it was submitted if nobody said that."""
    minimum_trust: Trust = Trust.LOW

    def __post_init__(self) -> None:
        for name, values in (
            ("source_ids", self.source_ids),
            ("languages", self.languages),
            ("metadata", self.metadata),
        ):
            if len(values) > MAX_VALUES:
                raise Invalid.field(f"filter.{name}", f"has {len(values)} entries; at most {MAX_VALUES} are allowed")
        if any("=" in name for name, _ in self.metadata):
            raise Invalid.field("filter.metadata", "holds a name with an =, which no document has")
        if self.since and self.until and self.since >= self.until:
            raise Invalid.field("filter.to_time", "must be later than from_time")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose passages, and which of them."""

    tenant: str
    groups: tuple[str, ...] = ()
    filter: Filter = field(default_factory=Filter)

    def within(self, source_ids: tuple[str, ...]) -> "Scope":
        """The same, of these sources only."""
        return replace(self, filter=replace(self.filter, source_ids=source_ids))


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for. Raises `Invalid`."""

    text: str
    limit: int = DEFAULT_PASSAGES
    more: tuple[str, ...] = ()
    """Other wordings of the same question."""
    filter: Filter = field(default_factory=Filter)
    neighbours: int = 0
    diversity: float = 0.0
    rerank: bool = False

    def __post_init__(self) -> None:
        if 1 + len(self.more) > MAX_QUERIES:
            raise Invalid.field("more_queries", f"has {len(self.more)} entries; at most {MAX_QUERIES - 1} are allowed")
        for name, text in (("query", self.text), *(("more_queries", text) for text in self.more)):
            _check_text(name, text)
        if not 1 <= self.limit <= MAX_PASSAGES:
            raise Invalid.field("page_size", f"must be 1 to {MAX_PASSAGES}, is {self.limit}")
        if not 0 <= self.neighbours <= MAX_NEIGHBOURS:
            raise Invalid.field("neighbours", f"must be 0 to {MAX_NEIGHBOURS}, is {self.neighbours}")
        if not 0 <= self.diversity <= 1:
            raise Invalid.field("diversity", f"must be 0 to 1, is {self.diversity}")

    @property
    def texts(self) -> tuple[str, ...]:
        """Every wording, the first one first."""
        return (self.text, *self.more)


def _check_text(name: str, text: str) -> None:
    if not text.strip():
        raise Invalid.field(name, "is empty")
    if len(text) > MAX_CHARACTERS:
        raise Invalid.field(name, f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
