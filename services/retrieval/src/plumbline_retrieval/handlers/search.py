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
from plumbline_retrieval.domain.ranking import Hit, Hits, PassageId, Preferences, Ranked
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
        ranked, ids = await self._look(scope, query, vectors)
        hits = await self._ordered(query, ids, sources)
        near = await self._near(scope.tenant, hits, query.neighbours)
        finished = [self._finished(identity.tenant, *hit, sources, near, query.neighbours) for hit in hits]
        found = _compared(finished, ranked, ids)
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
    ) -> tuple[list[Ranked], dict[PassageId, Hit]]:
        """The lists, and the best live passages of them.

        An index in another process may put a new version in the old one's place between the two steps: then neither
        is found, and it is looked again.
        """
        wanted = max(2 * query.limit, ranking.CONSIDERED) + SPARE
        for look in range(LOOKS):
            ranked = [
                await self.passages.ranked(scope, text, vector)
                for text, vector in zip(query.texts, vectors, strict=True)
            ]
            scored = ranking.fuse(ranked)[:wanted]
            read = await self.passages.read(scope.tenant, [name for name, _ in scored])
            if not read.lost or look == LOOKS - 1:
                break
        return ranked, {name: (read.live[name], score) for name, score in scored if name in read.live}

    async def _ordered(
        self, query: Query, ids: Mapping[PassageId, Hit], sources: Mapping[str, Source]
    ) -> Sequence[Hit]:
        hits = ranking.covering(list(ids.values()), query.text)
        if query.rerank:
            hits = await self._reranked(query.text, hits)
        hits = ranking.preferred(hits, query.text, sources, self.preferences, self.registry.clock.now())
        hits = ranking.distinct(hits)
        if query.diversity == 0:
            return hits[: query.limit]
        return await self._diverse(query, hits, {found.ref: name for name, (found, _) in ids.items()})

    async def _diverse(self, query: Query, hits: Hits, ids: Mapping[PassageRef, PassageId]) -> list[Hit]:
        vectors = await self.passages.vectors_of(list(ids.values()))
        there = [hit for hit in hits if ids[hit[0].ref] in vectors]
        if not there:
            return []
        rows = np.stack([vectors[ids[found.ref]] for found, _ in there])
        return ranking.diverse(there, rows, query.diversity, query.limit)

    async def _reranked(self, question: str, hits: Hits) -> list[Hit]:
        if self.reranker is None:
            raise Invalid.field("rerank", "is asked for and no reranker is set: set RERANKER")
        texts = [found.passage.embedded(found.title) for found, _ in hits[: ranking.CONSIDERED]]
        return ranking.rescored(hits, await self.reranker.scores(question, texts))

    async def _near(self, tenant: str, hits: Hits, reach: int) -> dict[tuple[str, int], Passage]:
        return await self.passages.around(tenant, [found for found, _ in hits], reach) if reach and hits else {}

    def _finished(
        self,
        tenant: str,
        found: Found,
        score: float,
        sources: Mapping[str, Source],
        near: Mapping[tuple[str, int], Passage],
        reach: int,
    ) -> Found:
        """*found* with its score, how current it is, and what stands around it."""
        source = sources.get(found.source_id, DEFAULT)
        key = DocumentKey(tenant, found.ref.document_id)
        on_its_way = self.progress.is_on_its_way(key, beyond=found.ref.version)
        superseded = found.freshness is Freshness.SUPERSEDED or on_its_way
        preceding, following = _around(found, near, reach)
        return replace(
            found,
            score=score,
            freshness=source.freshness(found.submitted_at, self.registry.clock.now(), superseded=superseded),
            as_of=source.confirmed(found.submitted_at),
            trust=source.trust,
            preceding=preceding,
            following=following,
        )


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


def _compared(found: Sequence[Found], ranked: Sequence[Ranked], ids: Mapping[PassageId, Hit]) -> list[Found]:
    """*found*, each with its cosine to the nearest wording."""
    names = {hit.ref: name for name, (hit, _) in ids.items()}
    nearest: dict[PassageId, float] = {}
    for name, cosine in (scored for each in ranked for scored in each.dense):
        nearest[name] = max(cosine, nearest.get(name, cosine))
    return [replace(each, similarity=nearest.get(names[each.ref])) for each in found]


def _around(found: Found, near: Mapping[tuple[str, int], Passage], reach: int) -> tuple[str, str]:
    """What stands before *found* and after it; a sentence that two passages share is not repeated."""
    document_id, passage = found.ref.document_id, found.passage
    before = [near.get((document_id, passage.ordinal - step)) for step in range(reach, 0, -1)]
    after = [near.get((document_id, passage.ordinal + step)) for step in range(1, reach + 1)]
    return (
        _joined([each for each in before if each], end=passage.start),
        _joined([each for each in after if each], start=passage.end),
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
