"""Drop an answer that an audit found to be another than the fresh one to the very same question."""

from dataclasses import dataclass
from functools import partial

from plumbline_cache.domain.audit import Audit, Outcome
from plumbline_cache.domain.lookup import Tier
from plumbline_cache.domain.withdrawal import wrong_answer
from plumbline_cache.ports import EntryReader, Turns, WithdrawalLog


@dataclass(frozen=True)
class RetractAnswer:
    """Asks every replica. Idempotent: an audit asks under its own id."""

    entries: EntryReader
    requests: WithdrawalLog
    turns: Turns

    async def __call__(self, audit: Audit, answer_id: str) -> None:
        """Return once it is asked for, if it has to be. Raises `Unavailable`.

        A near hit that was wrong takes nothing away: the answer was right for the question that it was given to first.
        """
        if audit.tier is not Tier.EXACT or audit.outcome is not Outcome.DIFFERENT:
            return
        entry = await self.turns.run(partial(self.entries.find, audit.entry_id))
        if entry is not None and (entry.scope.tenant, entry.answer_id) == (audit.tenant, answer_id):
            await self.requests.append(wrong_answer(audit.id, entry))
