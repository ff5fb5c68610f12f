"""New passages, and which cached answers might have been given them.

An answer saw what its search found. A passage that came later and lies about as near to the question as the farthest
that the answer was given could have been among them. Whether it would change the answer nobody knows before one looks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from plumbline_cache.domain.entry import Entry, Mark
from plumbline_cache.domain.withdrawal import CLOCKS_APART

LEAST: Final = 0.3
"""Cosine of question and passage below which a passage counts as near to no question."""
BY_WORDS: Final = 0.1
"""How much farther than all others a passage may lie that is still among them: a search looks at words too."""
UNKNOWN: Final = 0.4
"""The same for an entry of whose sources one was found by its words alone: how near they are is not known."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A passage that a document had not before."""

    tenant: str
    document: str
    version: int
    passage: str
    """The passage's hash; empty for all of a change of which the vectors are not known."""
    groups: frozenset[str]
    """Who may read it; empty: everybody."""
    time: datetime
    """When the change was told: a search from then on finds the passage."""

    @property
    def mark(self) -> Mark:
        """What an entry keeps of it."""
        return Mark(self.time, self.document, self.version, self.passage)

    @property
    def line(self) -> "Addition":
        """What concerns everything of the tenant that was begun before, in place of this one and all earlier ones.

        A tenant has one line, so it may not say which document's or whose: it stands for others too.
        """
        return replace(self, document="", passage="", groups=frozenset())

    def concerns(self, entry: Entry) -> bool:
        """Whether whoever asks for *entry* could be given the passage, and its answer was begun without it."""
        readable = not self.groups or not self.groups.isdisjoint(entry.scope.groups)
        begun_before = entry.begin_time <= self.time + CLOCKS_APART
        return entry.scope.tenant == self.tenant and readable and begun_before

    def was_seen_for(self, entry: Entry) -> bool:
        """Whether *entry*, as it was generated, rests on the version that has the passage: its search found that."""
        return any(source.document == self.document and source.version >= self.version for source in entry.sources)


def least_similarity(entry: Entry) -> float:
    """The least cosine with the question at which a passage could have been among those of *entry*."""
    return UNKNOWN if entry.least_similarity is None else max(LEAST, entry.least_similarity - BY_WORDS)


def mark_by(additions: Iterable[Addition]) -> Mark | None:
    """That of the newest of *additions*."""
    return max((addition.mark for addition in additions), default=None)
