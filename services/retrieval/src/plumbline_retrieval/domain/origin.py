"""Documents that come by themselves: where they are looked for, what is found there, and what it is called here."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Final

from plumbline_retrieval.domain.content import File
from plumbline_retrieval.domain.document import MAX_ID_CHARACTERS
from plumbline_retrieval.domain.source import Source, Trust

_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_WILD: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_DIGEST_CHARACTERS: Final = 16


class Kind(Enum):
    """What a source is polled as."""

    FOLDER = "folder"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class PolledSource:
    """A source that is looked at again and again. Only the operator says where: a tenant cannot choose an address."""

    tenant: str
    source_id: str
    kind: Kind
    location: str
    """A folder, relative to where the service runs, or the URL of a sitemap, a sitemap index, an RSS or Atom feed."""
    interval: timedelta
    name: str = ""
    owner: str = ""
    trust: Trust = Trust.MEDIUM
    license: str = ""
    refresh_interval: timedelta | None = None
    retention: timedelta | None = None
    groups: tuple[str, ...] = ()
    """Who may see its documents; empty means everybody in the tenant."""
    language: str = ""
    include: tuple[str, ...] = ()
    """Patterns of paths, see `takes`; empty means all."""
    exclude: tuple[str, ...] = ()
    complete: bool = False
    """For RSS and Atom, which as a rule name only what is new: whether a page that is not in it is gone."""

    def registered(self) -> Source:
        """What the registry has to hold of it."""
        return Source(
            self.source_id,
            name=self.name,
            owner=self.owner,
            kind=self.kind.value,
            trust=self.trust,
            refresh_interval=self.refresh_interval,
            retention=self.retention,
            license=self.license,
        )

    def takes(self, path: str) -> bool:
        """Whether the patterns admit *path*, which has no slash in front.

        `*` and `?` stay within a folder, `**` does not; a pattern without a slash is one of the last part alone.
        """
        return (not self.include or _fits(self.include, path)) and not _fits(self.exclude, path)

    def document_id(self, path: str) -> str:
        """The same for the same path, another for another, and one that a document may have."""
        if not path:
            return self.source_id
        most = MAX_ID_CHARACTERS - len(self.source_id) - 1
        if len(path) <= most and path.isprintable() and path == path.strip("/"):
            return f"{self.source_id}/{path}"
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST_CHARACTERS]
        shown = "".join(each if each.isprintable() else "?" for each in path).strip("/")
        return f"{self.source_id}/{shown[: most - _DIGEST_CHARACTERS - 1]}~{digest}"

    def owns(self, document_id: str) -> bool:
        """Whether the document came by polling: what was submitted by hand or is a fact has another name."""
        return document_id == self.source_id or document_id.startswith(f"{self.source_id}/")


@dataclass(frozen=True, slots=True)
class Item:
    """A document as its origin lists it."""

    document_id: str
    place: str
    """Where the origin finds it again."""
    fingerprint: str = ""
    """Another one whenever the document changed, and cheap to learn; empty: only fetching it tells."""
    url: str = ""
    changed_at: datetime | None = None
    settled: bool = True
    """False: it is there, but being written, so its turn is the next poll."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an origin holds."""

    items: Sequence[Item]
    complete: bool = True
    """Whether what is not in it is gone."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document's file, and the fingerprint to know it by next time, which is never empty."""

    file: File
    fingerprint: str


def _fits(patterns: Sequence[str], path: str) -> bool:
    return any(_expression(pattern).fullmatch(path) for pattern in patterns)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    anywhere = pattern if "/" in pattern else f"**/{pattern}"
    whole = f"{anywhere}**" if anywhere.endswith("/") else anywhere
    parts = (_WILD.get(token) or re.escape(token) for token in _TOKEN.findall(whole.removeprefix("/")))
    return re.compile("".join(parts), re.DOTALL)
