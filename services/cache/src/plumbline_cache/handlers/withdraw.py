"""Drop what somebody wants gone, on every replica and for good."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from uuid import uuid4

import structlog

from plumbline_cache.domain.entry import Entry
from plumbline_cache.domain.freshness import withdrawn
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal
from plumbline_cache.handlers.invalidate import AnnounceDrops
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.ports import Store, Turns, WithdrawalLog
from plumbline_kit.clock import Clock

log = structlog.get_logger()

REMEMBERED: Final = 1_000
"""Withdrawals of which the count is known: whoever asked may come after its own request was heard."""


@dataclass(frozen=True)
class Withdraw:
    """Idempotent, in any order, and safe to stop anywhere: the withdrawal is kept first, and bars the way in."""

    store: Store
    writer: Turns
    tallies: Tallies
    clock: Clock
    _counts: OrderedDict[str, int] = field(default_factory=OrderedDict)

    async def __call__(self, withdrawal: Withdrawal) -> int:
        """How many entries went when it was first done here. Their notices wait to be told."""
        if (known := self._counts.get(withdrawal.id)) is not None:
            return known
        return await self.writer.run(partial(self._settle, withdrawal))

    def _settle(self, withdrawal: Withdrawal) -> int:
        """One turn of the writer: no answer is admitted meanwhile."""
        if (known := self._counts.get(withdrawal.id)) is not None:
            return known
        self._keep(withdrawal)
        if withdrawal.erases:
            self._silence(withdrawal)
        dropped = 0
        for entry in self._selected(withdrawal):
            notice = withdrawn(entry, withdrawal, self.clock.now())
            self.store.add_notice(notice)
            self.store.drop(entry)
            self.tallies.add(entry.scope, notice.cause)
            dropped += 1
        self._note(withdrawal, dropped)
        return dropped

    def _keep(self, withdrawal: Withdrawal) -> None:
        known = self.store.withdrawals(withdrawal.tenant, [withdrawal.selection])
        if all(one.time < withdrawal.time for one in known):
            self.store.keep_withdrawal(withdrawal)

    def _silence(self, withdrawal: Withdrawal) -> None:
        # Of what was dropped by hand nobody knows any more what it rested on.
        for document in (withdrawal.selection.name, ""):
            for notice in self.store.notices(withdrawal.tenant, document):
                self.store.add_notice(replace(notice, question=""))

    def _selected(self, withdrawal: Withdrawal) -> Iterator[Entry]:
        tenant, selection = withdrawal.tenant, withdrawal.selection
        if selection.kind is Kind.ENTRY:
            entry = self.store.find(selection.name)
            entries = iter([] if entry is None else [entry])
        else:
            entries = self.store.of_tenant(tenant, selection.document)
        return filter(withdrawal.covers, entries)

    def _note(self, withdrawal: Withdrawal, dropped: int) -> None:
        self._counts[withdrawal.id] = dropped
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        about = {"tenant_id": withdrawal.tenant, "invalidation_id": withdrawal.id}
        log.info("entries_withdrawn", selection=withdrawal.selection.kind.value, dropped=dropped, **about)


@dataclass(frozen=True)
class FollowWithdrawal:
    """Does what was asked for, of whichever replica, and tells of it."""

    withdraw: Withdraw
    announce: AnnounceDrops

    async def __call__(self, withdrawal: Withdrawal) -> None:
        """Return once every drop is announced. Raises `Unavailable`."""
        await self.withdraw(withdrawal)
        await self.announce(withdrawal.tenant, withdrawal.selection.name if withdrawal.erases else "")


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What became of a request."""

    id: str
    dropped: int
    """Entries that went here."""


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class InvalidateEntries:
    """Asks every replica, this one too. The drops are announced by whoever hears the request."""

    requests: WithdrawalLog
    withdraw: Withdraw
    clock: Clock
    new_id: Callable[[], str] = _new_id

    async def __call__(self, tenant: str, selection: Selection) -> Invalidated:
        """Return once the log has the request and it is done here. Raises `Unavailable`: nothing was asked for."""
        withdrawal = Withdrawal(self.new_id(), tenant, selection, self.clock.now())
        await self.requests.append(withdrawal)
        return Invalidated(withdrawal.id, await self.withdraw(withdrawal))
