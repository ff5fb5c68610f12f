"""Say why a question hits or misses, by the parts that a lookup is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from plumbline_cache.domain.entry import Neighbour, Scope, Vector, entry_id
from plumbline_cache.domain.explanation import Check, Explained, Explanation, standing
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.sameness import Outcome, compare
from plumbline_cache.domain.uncacheable import class_of
from plumbline_cache.domain.withdrawal import selections_of
from plumbline_cache.handlers.lookup import NEIGHBOURS, LookupAnswer

ANY_SIMILARITY: Final = -1.0
ENCODER_SECONDS: Final = 1.0


@dataclass(frozen=True)
class ExplainLookup:
    """What decides is the lookup itself; the checks are told beside it."""

    lookup: LookupAnswer
    """One that counts where nobody reads."""

    async def __call__(self, scope: Scope, question: str) -> Explanation:
        """Raises `Invalid` for an empty or oversized question; what the engine or the encoder raises."""
        result = await self.lookup(scope, question)
        vector = await self.lookup.encoder.encode(question, patience=ENCODER_SECONDS)
        entries = await self.lookup.readers.run(partial(self._explain, scope, question, vector))
        threshold = self.lookup.semantic_threshold
        return Explanation(scope, normal_form(question), class_of(question), result, threshold, entries)

    def _explain(self, scope: Scope, question: str, vector: Vector) -> Sequence[Explained]:
        own = self.lookup.store.find(entry_id(scope, question))
        exact = [] if own is None or own.scope.key != scope.key else [Neighbour(own, 1.0)]
        near = self.lookup.store.nearest(scope, vector, least=ANY_SIMILARITY, limit=NEIGHBOURS)
        # As in a lookup: that nobody sees another's entry does not rest on the engine's filter alone.
        others = [one for one in near if one.entry.scope.key == scope.key and one.entry.id not in _ids(exact)]
        return [
            *(self._explained(found, Tier.EXACT, question) for found in exact),
            *(self._explained(found, Tier.SEMANTIC, question) for found in others),
        ]

    def _explained(self, found: Neighbour, tier: Tier, question: str) -> Explained:
        entry = found.entry
        checks = [*self._nearness(found), *self._sameness(found, question)] if tier is Tier.SEMANTIC else []
        if tier is Tier.EXACT:
            same = normal_form(entry.question) == normal_form(question)
            checks.append(Check("normal form", same, "the same" if same else "another"))
        floors = self.lookup.store.floors(entry.scope.tenant, entry.documents)
        withdrawals = self.lookup.store.withdrawals(entry.scope.tenant, selections_of(entry))
        checks += standing(entry, floors, withdrawals, self.lookup.clock.now())
        return Explained(entry, tier, found.similarity, checks)

    def _nearness(self, found: Neighbour) -> Iterator[Check]:
        threshold, rules, scope = self.lookup.semantic_threshold, self.lookup.rules, found.entry.scope
        near = found.similarity >= threshold
        yield Check("similarity", near, f"{found.similarity:.3f}; {threshold:g} is the least")
        wrong = rules.false_up_to(found.entry.id)
        learned = "no hit of it was found wrong" if wrong < ANY_SIMILARITY else f"a hit at {wrong:.3f} was found wrong"
        yield Check("audits of the entry", found.similarity > wrong, learned)
        off = rules.ruling(scope.key, scope.tenant).off
        yield Check("tier", not off, "switched off: too many hits were found wrong" if off else "on")

    def _sameness(self, found: Neighbour, question: str) -> Iterator[Check]:
        comparison, least = compare(found.entry.question, question, found.similarity), self.lookup.semantic_certainty
        for check in comparison.checks:
            if check.outcome is not Outcome.UNKNOWN:
                yield Check(check.name, check.outcome is Outcome.AGREES, check.detail or check.outcome.value)
        yield Check("certainty", comparison.is_same(least), f"{comparison.certainty:.2f}; {least:g} is the least")


def _ids(found: Sequence[Neighbour]) -> set[str]:
    return {neighbour.entry.id for neighbour in found}
