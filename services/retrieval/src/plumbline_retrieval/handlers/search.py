"""Passages out: search, and verify what was found earlier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from plumbline_kit.errors import Invalid
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain import ranking
from plumbline_retrieval.domain.document import DocumentKey, Found, Passage, PassageRef
from plumbline_retrieval.domain.query import Query, Scope
from plumbline_retrieval.domain.ranking import Preferences, Ranked
from plumbline_retrieval.domain.source import Freshness, Source, Trust
from plumbline_retrieval.domain.support import support
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import DEFAULT, Registry
from plumbline_retrieval.ports import Heads, Passages, QueryEncoder, Reranker, Vector

MAX_SOURCES: Final = 1_000
SPARE: Final = 5
"""Passages looked at beyond twice those wanted: some may be of versions that are not live."""
LOOKS: Final = 3
"""At an index that changes while it is looked at."""


@dataclass(frozen=True)
class SearchResult:
    """What was found."""

    found: Sequence[Found]
    support: float
    """How likely the passages hold the answer, in [0, 1]."""


@dataclass(frozen=True)
class SearchPassages:
    """Finds the passages that fit a question best."""

    passages: Passages
    encoder: QueryEncoder
    registry: Registry
    readiness: Readiness
    progress: Progress
    reranker: Reranker | None = None
    preferences: Preferences = field(default_factory=Preferences)

    async def __call__(self, identity: Identity, query: Query, vector: Vector | None, encoder_id: str) -> SearchResult:
        """Raises `Invalid` for a vector of another encoder, `Unavailable` while the index is rebuilt."""
        self.readiness.require()
        vectors = await self._vectors(query, vector, encoder_id)
        sources = await self.registry.of(identity.tenant)
        scope = _scope(identity, query, sources)
        if scope is None:
            return SearchResult([], 0.0)
        ranked, hits = await self._look(scope, query, vectors)
        found = await self._ordered(query, hits, sources)
        found = await self._around(scope.tenant, found, query.neighbours)
        found = [self._dated(identity.tenant, each, sources) for each in found]
        return SearchResult(found, support(query.text, ranked[0], found))

    async def _vectors(self, query: Query, vector: Vector | None, encoder_id: str) -> list[Vector]:
        """One for each wording; *vector* is that of the first."""
        if vector is not None:
            self._check(vector, encoder_id)
        return [
            vector if number == 0 and vector is not None else await self.encoder.encode_one(text)
            for number, text in enumerate(query.texts)
        ]

    def _check(self, vector: Vector, encoder_id: str) -> None:
        if encoder_id != self.encoder.id:
            raise Invalid.field("embedding.encoder_id", f"is {encoder_id}, the index holds {self.encoder.id}")
        if vector.shape != (self.encoder.dimensions,) or not np.isfinite(vector).all():
            raise Invalid.field("embedding.values", f"must be {self.encoder.dimensions} finite numbers")

    async def _look(
        self, scope: Scope, query: Query, vectors: Sequence[Vector]
    ) -> tuple[list[Ranked], dict[str, Found]]:
        """Live passages by id, best first, and the lists that they come from.

        An index in another process may put a new version in the old one's place between the two steps: then neither
        is found, and it is looked again.
        """
        wanted = max(2 * query.limit, ranking.CONSIDERED) + SPARE
        for look in range(LOOKS):
            ranked = [
                await self.passages.ranked(scope, text, vector)
                for text, vector in zip(query.texts, vectors, strict=True)
            ]
            scored = dict(ranking.fuse(ranked)[:wanted])
            read = await self.passages.read(scope.tenant, list(scored))
            if not read.lost or look == LOOKS - 1:
                break
        hits = {name: replace(read.live[name], score=score) for name, score in scored.items() if name in read.live}
        return ranked, hits

    async def _ordered(self, query: Query, hits: Mapping[str, Found], sources: Mapping[str, Source]) -> list[Found]:
        found = ranking.covering(list(hits.values()), query.text)
        if query.rerank:
            found = await self._reranked(query.text, found)
        found = ranking.preferred(found, query.text, sources, self.preferences, self.registry.clock.now())
        found = ranking.distinct(found)
        if query.diversity == 0:
            return found[: query.limit]
        return await self._diverse(query, found, {each.ref: name for name, each in hits.items()})

    async def _diverse(self, query: Query, found: Sequence[Found], ids: Mapping[PassageRef, str]) -> list[Found]:
        vectors = await self.passages.vectors_of(list(ids.values()))
        there = [each for each in found if ids[each.ref] in vectors]
        if not there:
            return []
        return ranking.diverse(
            there, np.stack([vectors[ids[each.ref]] for each in there]), query.diversity, query.limit
        )

    async def _reranked(self, question: str, found: Sequence[Found]) -> list[Found]:
        if self.reranker is None:
            raise Invalid.field("rerank", "is asked for and no reranker is set: set RERANKER")
        best, rest = found[: ranking.CONSIDERED], found[ranking.CONSIDERED :]
        scores = await self.reranker.scores(question, [each.passage.embedded(each.title) for each in best])
        floor = min(scores, default=0.0)
        again = [replace(each, score=float(score)) for each, score in zip(best, scores, strict=True)]
        return ranking.ordered(again) + [replace(each, score=floor * each.score) for each in rest]

    async def _around(self, tenant: str, found: list[Found], reach: int) -> list[Found]:
        if not reach or not found:
            return found
        near = await self.passages.around(tenant, found, reach)
        return [_with_neighbours(each, near, reach) for each in found]

    def _dated(self, tenant: str, found: Found, sources: Mapping[str, Source]) -> Found:
        source = sources.get(found.source_id, DEFAULT)
        key = DocumentKey(tenant, found.ref.document_id)
        superseded = found.freshness is Freshness.SUPERSEDED or self.progress.is_on_its_way(key)
        freshness = source.freshness(found.submitted_at, self.registry.clock.now(), superseded=superseded)
        return replace(found, as_of=source.confirmed(found.submitted_at), freshness=freshness)


@dataclass(frozen=True)
class VerifySources:
    """Says which passages are no longer part of their live document."""

    heads: Heads
    readiness: Readiness

    async def __call__(self, identity: Identity, sources: Sequence[PassageRef]) -> list[PassageRef]:
        """Those that changed, are gone, or are not the caller's to see any more, in the order asked."""
        if len(sources) > MAX_SOURCES:
            raise Invalid.field("sources", f"has {len(sources)} entries; at most {MAX_SOURCES} are allowed")
        self.readiness.require()
        keys = {source.document_id: DocumentKey(identity.tenant, source.document_id) for source in sources}
        heads = await self.heads.heads(list(keys.values()))

        def is_current(source: PassageRef) -> bool:
            head = heads.get(keys[source.document_id])
            return head is not None and head.shows(identity.groups) and source.passage_hash in head.live.passage_hashes

        return [source for source in sources if not is_current(source)]


def _scope(identity: Identity, query: Query, sources: Mapping[str, Source]) -> Scope | None:
    """Whose passages are searched; None where no source is trusted as far as asked."""
    scope = Scope(identity.tenant, tuple(identity.groups), query.filter)
    if query.filter.minimum_trust is Trust.LOW:
        return scope
    asked = query.filter.source_ids or tuple(sources)
    trusted = tuple(name for name in asked if name in sources and sources[name].trust >= query.filter.minimum_trust)
    return scope.within(trusted) if trusted else None


def _with_neighbours(found: Found, near: Mapping[tuple[str, int], Passage], reach: int) -> Found:
    """*found* with what stands around it; a sentence that two passages share is not repeated."""
    document_id, passage = found.ref.document_id, found.passage
    before = [near.get((document_id, passage.ordinal - step)) for step in range(reach, 0, -1)]
    after = [near.get((document_id, passage.ordinal + step)) for step in range(1, reach + 1)]
    return replace(
        found,
        preceding=_joined([each for each in before if each], end=passage.start),
        following=_joined([each for each in after if each], start=passage.end),
    )


def _joined(passages: Sequence[Passage], start: int = 0, end: int | None = None) -> str:
    """Their texts, as far as they lie from *start* to *end* of the document, each piece once."""
    pieces = []
    for each in passages:
        first, last = max(start, each.start), each.end if end is None else min(end, each.end)
        if first < last:
            lead = len(each.text) - (each.end - each.start)  # a table's header, above its rows
            pieces.append(each.text[lead + first - each.start : lead + last - each.start])
            start = last
    return "\n\n".join(piece.strip() for piece in pieces)
