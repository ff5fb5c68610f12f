"""Take in an answer that passed its evaluation."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from plumbline_cache.domain.addition import least_similarity, mark_by
from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.domain.entry import Entry, Mark, Vector
from plumbline_cache.domain.freshness import Floors, cause_of_drop, dropped_by, is_fresh, is_orphaned, withdrawn
from plumbline_cache.domain.lifetime import untimely
from plumbline_cache.domain.withdrawal import CLOCKS_APART, Withdrawal, selections_of, withdrawn_by
from plumbline_cache.handlers.room import RoomWatch
from plumbline_cache.handlers.tallies import Admission, Tallies
from plumbline_cache.ports import QuestionEncoder, Store, Turns
from plumbline_kit.clock import Clock

log = structlog.get_logger()

ENCODER_SECONDS: Final = 10.0
"""Nobody waits for an admission; only an encoder that hangs is worth coming again for."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The answer is kept as this entry."""

    entry_id: str
    anew: bool
    """False if it was kept before: the fact came again."""


@dataclass(frozen=True)
class AdmitAnswer:
    """Idempotent, and safe against changes that come before, after or at the same time."""

    store: Store
    encoder: QuestionEncoder
    writer: Turns
    tallies: Tallies
    clock: Clock
    application: str
    release: str
    time_to_live: timedelta
    room: RoomWatch

    async def __call__(self, candidate: Candidate) -> Admitted | Refusal:
        """Return once the answer is durably kept, or why it is not."""
        outcome = candidate.refusal(self.application, self.release) or await self._take_in(candidate)
        self._note(candidate, outcome)
        if isinstance(outcome, Admitted) and outcome.anew:
            await self.room.admitted()
        return outcome

    async def _take_in(self, candidate: Candidate) -> Admitted | Refusal:
        now = self.clock.now()
        entry = candidate.admitted(now, self.time_to_live)
        if (refusal := untimely(entry, now)) is not None:
            return refusal
        vector = await self.encoder.encode(candidate.question, patience=ENCODER_SECONDS)
        return await self.writer.run(partial(self._keep, entry, vector))

    def _keep(self, entry: Entry, vector: Vector) -> Admitted | Refusal:
        """One turn of the writer. Another replica may hear a change meanwhile, so what was kept is looked at again."""
        if self._withdrawal_of(entry) is not None:
            return Refusal.WITHDRAWN
        held = self.store.find(entry.id)
        if held is not None and held.answer_id == entry.answer_id:
            return self._kept_before(held)
        if not is_fresh(entry, self.store.floors(entry.scope.tenant, entry.documents)):
            return Refusal.SOURCE_CHANGED
        if held is not None and not self._gives_way(held, entry):
            return Refusal.OLDER_ANSWER
        # The question is asked as often whichever answer it has.
        marked = replace(entry, mark=self._mark_of(entry, vector), hits=0 if held is None else held.hits)
        self.store.put(marked, vector)
        return self._look_again(marked, vector)

    def _mark_of(self, entry: Entry, vector: Vector) -> Mark | None:
        """By what came before the answer did, and after it was begun."""
        least = least_similarity(entry)
        added = self.store.added_near(entry.scope.tenant, vector, entry.begin_time - CLOCKS_APART, least=least)
        return entry.mark or mark_by([one for one in added if one.concerns(entry) and not one.was_seen_for(entry)])

    def _look_again(self, entry: Entry, vector: Vector) -> Admitted | Refusal:
        # Whoever raises a floor looks for entries afterwards, and who keeps an entry looks at the floors afterwards:
        # whichever comes second sees the first. The same holds for withdrawals and new passages.
        if self._withdrawal_of(entry) is not None:
            self.store.drop(entry)
            return Refusal.WITHDRAWN
        if not is_fresh(entry, self.store.floors(entry.scope.tenant, entry.documents)):
            self.store.drop(entry)
            return Refusal.SOURCE_CHANGED
        if (mark := self._mark_of(entry, vector)) != entry.mark:
            self.store.mark(replace(entry, mark=mark))
        return Admitted(entry.id, anew=True)

    def _kept_before(self, held: Entry) -> Admitted | Refusal:
        # A crash may have come before it was looked at again.
        if is_orphaned(held, self.store.floors(held.scope.tenant, held.documents)):
            self.store.drop(held)
            return Refusal.SOURCE_CHANGED
        return Admitted(held.id, anew=False)

    def _gives_way(self, held: Entry, entry: Entry) -> bool:
        floors = self.store.floors(held.scope.tenant, held.documents)
        withdrawal = self._withdrawal_of(held)
        self._announce_if_dropped(held, floors, withdrawal)
        return entry.is_newer_than(held) or withdrawal is not None or not is_fresh(held, floors)

    def _announce_if_dropped(self, held: Entry, floors: Floors, withdrawal: Withdrawal | None) -> None:
        # A crash may have come after the floor was raised, or the withdrawal kept, and before the entry went. The
        # fact comes again and would find another answer in its place.
        if withdrawal is not None:
            self.store.add_notice(withdrawn(held, withdrawal, self.clock.now()))
        elif (change := cause_of_drop(held, floors)) is not None:
            self.store.add_notice(dropped_by(held, change, self.clock.now()))

    def _withdrawal_of(self, entry: Entry) -> Withdrawal | None:
        return withdrawn_by(entry, self.store.withdrawals(entry.scope.tenant, selections_of(entry)))

    def _note(self, candidate: Candidate, outcome: Admitted | Refusal) -> None:
        fields = {"answer_id": candidate.answer_id, "tenant_id": candidate.scope.tenant}
        if isinstance(outcome, Refusal):
            self.tallies.add(candidate.scope, outcome)
            log.info("answer_refused", reason=outcome.value, **fields)
        elif outcome.anew:
            self.tallies.add(candidate.scope, Admission.ADMITTED)
            log.info("answer_admitted", entry_id=outcome.entry_id, **fields)
