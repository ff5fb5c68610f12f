"""Puts entries into the cache's folder while the cache is down: 100,000 admissions would take a quarter of an hour.

Fact, candidate, encoder, store and folder are those of an admission. Left out is the way through Kafka, and what is
asked before an entry is kept: here nothing was changed, withdrawn or added. A lookup does not know how an entry came.

Vectors stay in `out/vectors`, a file for each thousand questions, so that only the first run encodes.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from plumbline_cache.adapters.state import open_state
from plumbline_cache.domain.entry import Entry, Vector
from plumbline_cache.events.entries import candidate_of
from plumbline_kit.release import Release
from plumbline_models import Encoder
from tests.bench.figures import OUT
from tests.bench.stored import Evaluated

BLOCK: Final = 1_000
"""Questions whose vectors are in one file."""
THREADS: Final = 2
TOLD_EVERY: Final = 10_000


@dataclass(frozen=True)
class CacheFolder:
    """The folder of a cache that is down."""

    path: Path
    encoder: Encoder
    release: Release
    facts: Evaluated
    say: Callable[[str], object]

    def fill(self, first: int, questions: Sequence[str]) -> None:
        """Put answers to *questions*, which are stored ones from the *first*-th on. Blocks, at first for minutes.

        A question that an admission refuses is left out.
        """
        state = open_state(self.path, encoder_id=self.encoder.id, dimensions=self.encoder.dimensions)
        try:
            for number, (question, vector) in enumerate(zip(questions, self._vectors(questions), strict=True), 1):
                if (entry := self._entry(first + number - 1, question)) is not None:
                    state.store.put(entry, vector)
                if number % TOLD_EVERY == 0:
                    self.say(f"stored {first + number:,}")
        finally:
            state.close()

    def _entry(self, number: int, question: str) -> Entry | None:
        candidate = candidate_of(self.facts.fact(number, question))
        if candidate.refusal(self.release.application_id, self.release.id) is not None:
            return None
        return candidate.admitted(datetime.now(UTC), timedelta(hours=self.release.cache.time_to_live_hours))

    def _vectors(self, questions: Sequence[str]) -> Iterator[Vector]:
        blocks = [questions[start : start + BLOCK] for start in range(0, len(questions), BLOCK)]
        with ThreadPoolExecutor(THREADS) as threads:
            for vectors in threads.map(self._encoded, blocks):
                yield from vectors

    def _encoded(self, questions: Sequence[str]) -> Vector:
        text = json.dumps([self.encoder.id, *questions])
        path = OUT / "vectors" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            with draft.open("wb") as file:
                np.save(file, self.encoder.encode(questions))
            draft.replace(path)  # a run that was stopped leaves no half of one
        vectors: Vector = np.load(path)
        return vectors
