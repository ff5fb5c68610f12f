"""What a lookup finds."""

from dataclasses import dataclass
from enum import Enum

from plumbline_cache.domain.entry import Entry, Vector


class Tier(Enum):
    """How an entry was found."""

    EXACT = "exact"
    SEMANTIC = "semantic"


class MissReason(Enum):
    """Why there is no answer."""

    NOT_FOUND = "not_found"
    STALE = "stale"
    CATCHING_UP = "catching_up"
    EXPIRED = "expired"
    REVALIDATING = "revalidating"
    """A passage came that its answer might have been given."""
    NEVER_CACHED = "never_cached"
    UNREACHABLE = "unreachable"
    """The engine or the encoder failed, or took too long."""
    SWITCHED_OFF = "switched_off"
    """Audits found too many hits of near questions wrong."""
    DIFFERENT = "different"
    """There are near entries, but none surely asks the same."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry to serve. *vector* is the question's, unless none was needed."""

    entry: Entry
    tier: Tier
    similarity: float
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing to serve. *vector* is the question's, unless the encoder failed."""

    reason: MissReason
    vector: Vector | None
    withheld: Hit | None = None
    """What would have been served if its tier were on, or may be if a search finds its passages and no other."""
