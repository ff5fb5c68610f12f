"""Why a question hits or misses: what was looked at, and what each check found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from plumbline_cache.domain.entry import Entry, Mark, Scope
from plumbline_cache.domain.freshness import Floors, is_fresh
from plumbline_cache.domain.lifetime import is_alive
from plumbline_cache.domain.lookup import Hit, Miss, Tier
from plumbline_cache.domain.uncacheable import Uncacheable
from plumbline_cache.domain.withdrawal import Withdrawal, withdrawn_by


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold before an entry is served."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explained:
    """An entry that was looked at."""

    entry: Entry
    tier: Tier
    similarity: float
    checks: Sequence[Check]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that decided."""

    scope: Scope
    normal_form: str
    never_cached: Uncacheable | None
    """Why the question is answered from memory by nothing, whatever is kept."""
    result: Hit | Miss
    semantic_threshold: float
    entries: Sequence[Explained]


def standing(entry: Entry, floors: Floors, withdrawals: Sequence[Withdrawal], now: datetime) -> Iterator[Check]:
    """Whether the entry may be served to anybody: its time, sources, what came since, what somebody wanted gone."""
    yield Check("time to live", is_alive(entry, now), f"until {entry.expire_time:%Y-%m-%d %H:%M} UTC")
    yield Check("sources", is_fresh(entry, floors), "; ".join(_behind(entry, floors)) or "as they were")
    yield Check("new passages", entry.mark is None, _since(entry.mark))
    withdrawal = withdrawn_by(entry, withdrawals)
    by_hand = (
        "not dropped by hand" if withdrawal is None else f"dropped by hand at {withdrawal.time:%Y-%m-%d %H:%M} UTC"
    )
    yield Check("wanted", withdrawal is None, by_hand)


def _since(mark: Mark | None) -> str:
    if mark is None:
        return "none near since"
    which = f"one of {mark.document}" if mark.passage else "some that cannot be compared"
    return f"{which} came at {mark.time:%Y-%m-%d %H:%M} UTC: only a search can tell"


def _behind(entry: Entry, floors: Floors) -> Iterator[str]:
    for source in dict.fromkeys((source.document, source.version) for source in entry.sources):
        document, version = source
        floor = floors.get(document)
        if floor is not None and floor.deleted and floor.version >= version:
            yield f"{document} is deleted"
        elif floor is not None and floor.version > version:
            yield f"{document} is at version {floor.version}, known to hold up to {version}"
