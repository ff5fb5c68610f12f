"""Look for an answer: to the same question, else to one that means the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector, entry_id, require_question
from plumbline_cache.domain.freshness import is_fresh
from plumbline_cache.domain.lifetime import is_alive
from plumbline_cache.domain.lookup import Hit, Miss, MissReason, Tier
from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.sameness import compare
from plumbline_cache.domain.uncacheable import class_of
from plumbline_cache.domain.withdrawal import selections_of, withdrawn_by
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_cache.ports import HitRules, QuestionEncoder, Readiness, StoreReader, Turns
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable

log = structlog.get_logger()

NEIGHBOURS: Final = 8
"""How many near questions are looked at: the nearest may ask something else, or be stale."""

IN_ALL: Final = 0.028
"""Seconds for an exact read, the encoder and a search together, so that a fault of any is a miss within 30 ms.

Waiting for the encoder behind other questions, or for a busy processor, does not count: see the port.
"""
EXACT_SECONDS: Final = 0.012
SEARCH_SECONDS: Final = 0.008
"""What a search has at least, whatever was spent before. The encoder has what is left, and as much as this at least."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The best entry that may be served, and why others may not."""

    best: Neighbour | None = None
    stale: bool = False
    expired: bool = False
    marked: Neighbour | None = None
    """The best that only a search can tell whether it may be served."""
    different: bool = False
    unreachable: bool = False
    """The engine or the encoder failed, or took too long."""

    def after(self, earlier: "_Found") -> "_Found":
        """With what kept entries of an *earlier* place, which comes first, from being served."""
        stale, expired = self.stale or earlier.stale, self.expired or earlier.expired
        return replace(self, stale=stale, expired=expired, marked=earlier.marked or self.marked)


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
    semantic_certainty: float

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
        began = self.clock.monotonic()
        # A change not heard of yet could make any entry stale.
        if not self.readiness.caught_up:
            return Miss(MissReason.CATCHING_UP, await self._encode(question, began))
        # What was asked in a conversation may be answered from it, and from what is everybody's.
        shared = replace(scope, conversation="")
        exact = await self._exact([scope, shared] if scope.conversation else [scope], question)
        if exact.best is not None:
            return Hit(exact.best.entry, Tier.EXACT, exact.best.similarity)
        vector = await self._encode(question, began)
        if class_of(question) is not None:
            return Miss(MissReason.NEVER_CACHED, vector)
        seconds = max(SEARCH_SECONDS, IN_ALL - (self.clock.monotonic() - began))
        near = await self._semantic(shared, question, None if exact.unreachable else vector, seconds)
        if near.best is not None:
            return self._unless_off(Hit(near.best.entry, Tier.SEMANTIC, near.best.similarity, vector))
        reason = _reason(exact, near)
        to_revalidate = self._to_revalidate(exact, near) if reason is MissReason.REVALIDATING else None
        return Miss(reason, vector, withheld=to_revalidate)

    def _to_revalidate(self, exact: _Found, near: _Found) -> Hit | None:
        if exact.marked is not None:
            return Hit(exact.marked.entry, Tier.EXACT, exact.marked.similarity)
        if near.marked is None:
            return None
        hit = self._unless_off(Hit(near.marked.entry, Tier.SEMANTIC, near.marked.similarity))
        return hit if isinstance(hit, Hit) else None

    def _unless_off(self, hit: Hit) -> Hit | Miss:
        scope = hit.entry.scope
        if self.rules.ruling(scope.key, scope.tenant).off:
            return Miss(MissReason.SWITCHED_OFF, hit.vector, withheld=hit)
        return hit

    async def _exact(self, scopes: Sequence[Scope], question: str) -> _Found:
        return await self._read(Tier.EXACT, scopes[0].tenant, partial(self._find, scopes, question), EXACT_SECONDS)

    async def _semantic(self, scope: Scope, question: str, vector: Vector | None, seconds: float) -> _Found:
        if vector is None:
            return _Found(unreachable=True)
        return await self._read(Tier.SEMANTIC, scope.tenant, partial(self._search, scope, question, vector), seconds)

    async def _read(self, tier: Tier, tenant: str, work: Callable[[], _Found], seconds: float) -> _Found:
        try:
            return await self.readers.run(work, seconds=seconds)
        except (TimeoutError, Unavailable) as error:  # a trace of each would take longer than the lookup
            log.warning("lookup_failed", tier=tier.value, tenant_id=tenant, reason=str(error) or "took too long")
        except Exception:  # a fault of the cache must cost a generation, not the answer
            log.exception("lookup_failed", tier=tier.value, tenant_id=tenant)
        return _Found(unreachable=True)

    def _find(self, scopes: Sequence[Scope], question: str) -> _Found:
        """In the first of *scopes* that has an entry to serve."""
        found = _Found()
        for scope in scopes:
            entry = self.store.find(entry_id(scope, question))
            same = [] if entry is None or not _is_same(entry, scope, question) else [Neighbour(entry, 1.0)]
            found = self._first_fresh(scope, same).after(found)
            if found.best is not None:
                break
        return found

    def _search(self, scope: Scope, question: str, vector: Vector) -> _Found:
        near = self.store.nearest(scope, vector, least=self.semantic_threshold, limit=NEIGHBOURS)
        # The engine was asked for this scope only. That nobody sees another's does not rest on its filter alone.
        mine = [one for one in near if one.entry.scope.key == scope.key]
        allowed = [one for one in mine if one.similarity > self.rules.false_up_to(one.entry.id)]
        same = self._same(allowed, question)
        return replace(self._first_fresh(scope, same), different=len(allowed) > len(same))

    def _same(self, near: Sequence[Neighbour], question: str) -> Sequence[Neighbour]:
        """Those that ask the same, the surest first."""
        compared = [(compare(one.entry.question, question, one.similarity), one) for one in near]
        same = [(comparison, one) for comparison, one in compared if comparison.is_same(self.semantic_certainty)]
        return [one for _, one in sorted(same, key=lambda pair: -pair[0].certainty)]

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
        valid = [neighbour for neighbour in fresh if neighbour.entry.mark is None]
        stale, marked = len(fresh) < len(alive), next((one for one in fresh if one.entry.mark is not None), None)
        return _Found(next(iter(valid), None), stale=stale, expired=expired, marked=marked)

    def _wanted(self, scope: Scope, found: Sequence[Neighbour]) -> Sequence[Neighbour]:
        """Without what somebody wants gone and is about to go."""
        selections = [selection for neighbour in found for selection in selections_of(neighbour.entry)]
        withdrawals = self.store.withdrawals(scope.tenant, selections) if selections else ()
        return [neighbour for neighbour in found if withdrawn_by(neighbour.entry, withdrawals) is None]

    async def _encode(self, question: str, began: float) -> Vector | None:
        spent = self.clock.monotonic() - began
        try:
            return await self.encoder.encode(question, patience=max(SEARCH_SECONDS, IN_ALL - SEARCH_SECONDS - spent))
        except Unavailable as error:  # as above: whoever needs the vector computes it
            log.warning("question_not_encoded", reason=str(error))
        except Exception:  # as above
            log.exception("question_not_encoded")
        return None


def _is_same(entry: Entry, scope: Scope, question: str) -> bool:
    """What stands at a place belongs there: nobody is served another scope's or question's whatever the engine did."""
    if entry.scope.key != scope.key:
        return False
    return entry.question == question or normal_form(entry.question) == normal_form(question)


def _reason(*found: _Found) -> MissReason:
    if any(tier.unreachable for tier in found):
        return MissReason.UNREACHABLE
    if any(tier.marked is not None for tier in found):
        return MissReason.REVALIDATING
    if any(tier.stale for tier in found):
        return MissReason.STALE
    if any(tier.expired for tier in found):
        return MissReason.EXPIRED
    return MissReason.DIFFERENT if any(tier.different for tier in found) else MissReason.NOT_FOUND
