"""How far the indexer is, for those who wait for it in this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from plumbline_retrieval.domain.document import DocumentKey

MOST: Final = 100_000
"""Versions that are remembered as being on their way; beyond, the oldest are forgotten."""


@dataclass
class Progress:
    """Versions that are on their way into the index, and who waits for a document's next one."""

    _accepted: dict[DocumentKey, int] = field(default_factory=dict)
    _waiting: defaultdict[DocumentKey, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))

    def accepted(self, key: DocumentKey, version: int) -> None:
        """*version* was accepted and is not indexed yet."""
        self._accepted[key] = max(version, self._accepted.pop(key, version))
        if len(self._accepted) > MOST:  # another process indexes them, and nobody asked here
            del self._accepted[next(iter(self._accepted))]

    def is_on_its_way(self, key: DocumentKey, beyond: int = -1) -> bool:
        """Whether a version newer than *beyond* was accepted that is not known to be indexed."""
        return self._accepted.get(key, -1) > beyond

    def reached(self, key: DocumentKey, version: int) -> None:
        """The index knows *version*."""
        if self._accepted.get(key, version) <= version:
            self._accepted.pop(key, None)
        for event in self._waiting.pop(key, ()):
            event.set()

    @contextmanager
    def watching(self, key: DocumentKey) -> Iterator[asyncio.Event]:
        """An event that the document's next step sets."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]
