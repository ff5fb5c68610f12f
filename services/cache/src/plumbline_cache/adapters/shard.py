"""One embedded shard of Qdrant's engine, whose failures are ours.

Every update is in the shard's write-ahead log when it returns, so the death of the process loses none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeVectorParams,
    FacetRequest,
    FacetResponse,
    FieldCondition,
    Filter,
    Memory,
    PayloadSchemaType,
    QueryRequest,
    Record,
    ScoredPoint,
    ScrollRequest,
    UpdateOperation,
)

from plumbline_cache.adapters import payloads
from plumbline_kit.errors import Unavailable

if TYPE_CHECKING:
    from qdrant_edge import PointId  # exists in the stubs only

log = structlog.get_logger()

VECTOR: Final = "question"

FLUSH_EVERY: Final = 10_000
"""Updates between two flushes. The log is only cut at a flush: without any it grows by each update for ever.

A flush waits for some 200 writes to the disk and holds the interpreter meanwhile: 0.05 to 0.1 s on a quiet disk,
and up to 0.9 s where others write. After a kill 10,000 updates are replayed in 0.6 s.
"""

NEVER: Final = 1_000_000_000
"""Kilobytes of vectors from which the engine builds a graph. It holds the interpreter while it does, for a minute."""

RETRY_SECONDS: Final = 5.0


class Shard:
    """Every method raises `Unavailable` when the engine fails, as with a full disk."""

    def __init__(self, engine: EdgeShard, *, flush_every: int = FLUSH_EVERY) -> None:
        self._engine = engine
        self._flush_every = flush_every
        self._unflushed = 0

    @classmethod
    def open(cls, folder: Path, dimensions: int, *, flush_every: int = FLUSH_EVERY) -> "Shard":
        """The shard in *folder*, made if there is none. Raises what the engine raises if it cannot be read."""
        if folder.exists():
            return cls(EdgeShard.load(str(folder)), flush_every=flush_every)
        config = EdgeConfig(
            vectors={VECTOR: EdgeVectorParams(size=dimensions, distance=Distance.Cosine)},
            payload_memory=Memory.Cached,
            max_search_threads=1,
            optimizers=EdgeOptimizersConfig(indexing_threshold=NEVER),
            wal_enabled=True,
        )
        engine = EdgeShard.create(str(folder), config)
        for field in payloads.FILTERED_FIELDS:
            engine.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Keyword))
        for field in payloads.TIMES:
            engine.update(UpdateOperation.create_field_index(field, PayloadSchemaType.Float))
        return cls(engine, flush_every=flush_every)

    def close(self) -> None:
        """Write everything to its place. Nothing may be called afterwards."""
        self._engine.flush()
        self._engine.close()

    def update(self, operation: UpdateOperation) -> None:
        """Durable when it returns."""
        with _failures():
            self._engine.update(operation)
            self._unflushed += 1
            if self._unflushed >= self._flush_every:
                self._engine.flush()
                self._unflushed = 0

    def query(self, request: QueryRequest) -> list[ScoredPoint]:
        """Points by their score."""
        with _failures():
            return self._engine.query(request)

    def retrieve(self, ids: Sequence[str]) -> list[Record]:
        """Those of *ids* that are there, with their payloads."""
        with _failures():
            return self._engine.retrieve(list(ids), with_payload=True, with_vector=False)

    def scroll(self, request: ScrollRequest) -> "tuple[list[Record], PointId | None]":
        """Points by their id, and where the next page begins."""
        with _failures():
            return self._engine.scroll(request)

    def count(self, condition: FieldCondition) -> int:
        """Points that have this value of an indexed field."""
        # Of one indexed field the estimate is exact and takes microseconds; counting 100,000 points takes 25 ms.
        with _failures():
            return self._engine.count(CountRequest(filter=Filter(must=[condition]), exact=False))

    def facet(self, request: FacetRequest) -> FacetResponse:
        """How many points have each value."""
        with _failures():
            return self._engine.facet(request)


@contextmanager
def _failures() -> Iterator[None]:
    """The engine raises a bare `Exception` whatever is wrong."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        log.error("store_failed", reason=str(error))
        raise Unavailable("the cache's store cannot be used", retry_after=RETRY_SECONDS) from error
