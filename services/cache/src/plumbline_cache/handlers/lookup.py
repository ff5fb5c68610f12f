"""Look for an answer: to the same question, else to one that means the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector, entry_id, require_question
from plumbline_cache.domain.freshness import is_fresh
from plumbline_cache.domain.lifetime import is_alive
from plumbline_cache.domain.lookup import Hit, Miss, MissReason, Tier
from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.sameness import asks_the_same
from plumbline_cache.domain.withdrawal import selections_of, withdrawn_by
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import HitRules, QuestionEncoder, Readiness, StoreReader, Turns
from plumbline_kit.clock import Clock

log = structlog.get_logger()

NEIGHBOURS: Final = 8
"""How many near questions are looked at: the nearest may ask something else, or be stale."""

ENGINE_SECONDS: Final = 0.03
"""Longer than this a search is not worth waiting for."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The best entry that may be served, and why others may not."""

    best: Neighbour | None = None
    stale: bool = False
    expired: bool = False


@dataclass(frozen=True)
class LookupAnswer:
    """Never fails because of the engine or the encoder: a fault there is a miss."""

    store: StoreReader
    encoder: QuestionEncoder
    readiness: Readiness
    readers: Turns
    tallies: Tallies
    uses: Uses
    rules: HitRules
    clock: Clock
    semantic_threshold: float

    async def __call__(self, scope: Scope, question: str) -> Hit | Miss:
        """Raises `Invalid` for an empty or oversized question."""
        require_question(question)
        result = await self._look_up(scope, question)
        self._note(scope, result)
        return result

    def _note(self, scope: Scope, result: Hit | Miss) -> None:
        if isinstance(result, Hit):
            self.tallies.add(scope, result.tier, result.entry.saving)
            self.uses.note(result.entry.id)
        else:
            self.tallies.add(scope, result.reason)

    async def _look_up(self, scope: Scope, question: str) -> Hit | Miss:
        # A change not heard of yet could make any entry stale.
        if not self.readiness.caught_up:
            return Miss(MissReason.CATCHING_UP, await self._encode(question))
        # What was asked in a conversation may be answered from it, and from what is everybody's.
        shared = replace(scope, conversation="")
        exact = self._exact(scope, question)
        if exact.best is None and scope.conversation:
            exact = self._exact(shared, question)
        if exact.best is not None:
            return Hit(exact.best.entry, Tier.EXACT, exact.best.similarity)
        vector = await self._encode(question)
        near = await self._semantic(shared, question, vector)
        if near.best is not None:
            return self._unless_off(Hit(near.best.entry, Tier.SEMANTIC, near.best.similarity, vector))
        return Miss(_reason(exact, near), vector)

    def _unless_off(self, hit: Hit) -> Hit | Miss:
        scope = hit.entry.scope
        if self.rules.ruling(scope.key, scope.tenant).off:
            return Miss(MissReason.SWITCHED_OFF, hit.vector, withheld=hit)
        return hit

    def _exact(self, scope: Scope, question: str) -> _Found:
        # On the event loop: the read takes 20 microseconds, a thread's turn 200, and 4 ms beside a busy writer.
        try:
            entry = self.store.find(entry_id(scope, question))
            found = [] if entry is None or not _is_same(entry, scope, question) else [Neighbour(entry, 1.0)]
            return self._first_fresh(scope, found)
        except Exception:  # a fault of the cache must cost a generation, not the answer
            log.exception("lookup_failed", tier=Tier.EXACT.value, tenant_id=scope.tenant)
            return _Found()

    async def _semantic(self, scope: Scope, question: str, vector: Vector | None) -> _Found:
        if vector is None:
            return _Found()
        try:
            search = partial(self._search, scope, question, vector)
            return await self.readers.run(search, seconds=ENGINE_SECONDS)
        except Exception:  # as above; a search that takes too long ends here too
            log.exception("lookup_failed", tier=Tier.SEMANTIC.value, tenant_id=scope.tenant)
            return _Found()

    def _search(self, scope: Scope, question: str, vector: Vector) -> _Found:
        near = self.store.nearest(scope, vector, least=self.semantic_threshold, limit=NEIGHBOURS)
        # The engine was asked for this scope only. That nobody sees another's does not rest on its filter alone.
        mine = [one for one in near if one.entry.scope.key == scope.key]
        allowed = [one for one in mine if one.similarity > self.rules.false_up_to(one.entry.id)]
        same = [neighbour for neighbour in allowed if asks_the_same(neighbour.entry.question, question)]
        return self._first_fresh(scope, same)

    def _first_fresh(self, scope: Scope, found: Sequence[Neighbour]) -> _Found:
        # The floors are read after the entries and raised before entries are touched: a change between the
        # two reads makes a fresh entry look stale, never a stale one fresh.
        # The same holds for withdrawals.
        now = self.clock.now()
        alive = [neighbour for neighbour in self._wanted(scope, found) if is_alive(neighbour.entry, now)]
        expired = any(not is_alive(neighbour.entry, now) for neighbour in found)
        documents = [document for neighbour in alive for document in neighbour.entry.documents]
        floors = self.store.floors(scope.tenant, documents) if documents else {}
        fresh = [neighbour for neighbour in alive if is_fresh(neighbour.entry, floors)]
        return _Found(next(iter(fresh), None), stale=len(fresh) < len(alive), expired=expired)

    def _wanted(self, scope: Scope, found: Sequence[Neighbour]) -> Sequence[Neighbour]:
        """Without what somebody wants gone and is about to go."""
        selections = [selection for neighbour in found for selection in selections_of(neighbour.entry)]
        withdrawals = self.store.withdrawals(scope.tenant, selections) if selections else ()
        return [neighbour for neighbour in found if withdrawn_by(neighbour.entry, withdrawals) is None]

    async def _encode(self, question: str) -> Vector | None:
        try:
            return await self.encoder.encode(question)
        except Exception:  # as above: whoever needs the vector computes it
            log.exception("question_not_encoded")
            return None


def _is_same(entry: Entry, scope: Scope, question: str) -> bool:
    """What stands at a place belongs there: nobody is served another scope's or question's whatever the engine did."""
    return entry.scope.key == scope.key and normal_form(entry.question) == normal_form(question)


def _reason(*found: _Found) -> MissReason:
    if any(tier.stale for tier in found):
        return MissReason.STALE
    return MissReason.EXPIRED if any(tier.expired for tier in found) else MissReason.NOT_FOUND
