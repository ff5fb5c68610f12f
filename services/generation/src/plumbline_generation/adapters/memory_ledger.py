"""`Ledger` in one process, which forgets when it ends."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from plumbline_generation.domain.budget import Account, Reservation, Spent


@dataclass(slots=True)
class _Day:
    used: int = 0
    reserved: int = 0


class MemoryLedger:
    """Two days of each tenant, so that a call that began before midnight is still settled."""

    def __init__(self) -> None:
        self._days: dict[Account, _Day] = {}
        self._held: dict[str, tuple[Reservation, datetime]] = {}

    async def reserve(
        self, account: Account, least: int, most: int, *, budget: int, until: datetime
    ) -> Reservation | None:
        """See `Ledger`."""
        day = self._day(account)
        tokens = min(most, budget - day.used - day.reserved)
        if tokens < least:
            return None
        day.reserved += tokens
        reservation = Reservation(str(uuid.uuid4()), account, tokens)
        self._held[reservation.id] = (reservation, until)
        return reservation

    async def settle(self, reservation: Reservation, used: int) -> Spent | None:
        """See `Ledger`."""
        if self._held.pop(reservation.id, None) is None:
            return None
        day = self._day(reservation.account)
        day.reserved -= reservation.tokens
        day.used += used
        return Spent(day.used, day.reserved)

    async def spent(self, account: Account, now: datetime) -> Spent:
        """See `Ledger`."""
        day = self._day(account)
        held = self._held.values()
        late = sum(one.tokens for one, until in held if one.account == account and until <= now)
        return Spent(day.used + late, day.reserved - late)

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    def _day(self, account: Account) -> _Day:
        if account not in self._days:
            self._days[account] = _Day()
            before = account.day - timedelta(days=1)
            for old in [one for one in self._days if one.tenant == account.tenant and one.day < before]:
                del self._days[old]
        return self._days[account]
