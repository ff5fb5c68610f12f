"""The budgets of all tenants: what is reserved before a call, and settled after it."""

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from plumbline_generation.domain.attempts import AttemptOutcome
from plumbline_generation.domain.budget import (
    HELD,
    USED_UP,
    Account,
    Budgets,
    Reservation,
    Spent,
    account_of,
)
from plumbline_generation.ports import Ledger, Limits, ModelFailed
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.telemetry import names

log = structlog.get_logger()
Result = TypeVar("Result")

LEDGER_SECONDS: Final = 3.0
"""A ledger that takes longer counts as away."""
AWAY_SECONDS: Final = 10.0
"""So long one that was away is not asked again, so that not every answer waits for it."""
WAIT_SECONDS: Final = 3.0
"""For calls under way to give back what they did not take."""
PAUSE_SECONDS: Final = 0.05
LIFETIME_SECONDS: Final = 60.0
"""Beyond what a call may take: by then its process is gone, and what it reserved counts as used."""
LEDGER_AWAY: Final = "the token budget could not be looked at"


class PurseMeters:
    """What is measured of budgets, by tenant."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._clock = clock
        self._used = meter.create_counter(names.BUDGET_TOKENS_USED, description="tokens of tenants with a budget")
        self._unchecked = meter.create_counter(
            names.BUDGET_UNCHECKED, description="model calls made, or not made, because the ledger was away"
        )
        self._left: dict[str, tuple[Account, int]] = {}
        meter.create_observable_gauge(
            names.BUDGET_TOKENS_LEFT, [self._observe], description="today's, as this process last heard of it"
        )

    def settled(self, account: Account, used: int, left: int) -> None:
        """A call took *used* tokens."""
        self._used.add(used, {names.TENANT_ID: account.tenant})
        self._left[account.tenant] = (account, left)

    def unchecked(self, tenant: str) -> None:
        """The ledger was away when *tenant* asked."""
        self._unchecked.add(1, {names.TENANT_ID: tenant})

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        now = self._clock.now()
        current = [(account.tenant, left) for account, left in self._left.values() if account.day == now.date()]
        return [Observation(left, {names.TENANT_ID: tenant}) for tenant, left in current]


class Purse:
    """Takes tokens out of budgets. Not for threads."""

    def __init__(
        self, budgets: Budgets, ledger: Ledger, *, fails_open: bool, meters: PurseMeters, clock: Clock
    ) -> None:
        """*fails_open*: calls are made while the ledger is away."""
        self._budgets = budgets
        self._ledger = ledger
        self._fails_open = fails_open
        self._meters = meters
        self._clock = clock
        self._away_until = float("-inf")
        self._settling: set[asyncio.Task[None]] = set()

    def bounds(self, tenant: str) -> bool:
        """Whether the tenant has a budget."""
        return self._budgets.of(tenant) is not None

    async def take(self, limits: Limits, least: int, most: int) -> Reservation | None:
        """Between *least* and *most* tokens for a call of the limits' tenant.

        None where the ledger is away and calls are made all the same. Raises `ModelFailed`: over budget.
        """
        if self._clock.monotonic() >= self._away_until:
            try:
                return await self._taken(limits, least, most)
            except (Unavailable, TimeoutError) as error:
                self._away(error)
        self._meters.unchecked(limits.tenant)
        if not self._fails_open:
            raise ModelFailed(LEDGER_AWAY, AttemptOutcome.OVER_BUDGET)
        return None

    def settle(self, reservation: Reservation, used: int) -> None:
        """Give back what was not *used*, without waiting for it."""
        task = asyncio.create_task(self._settle(reservation, used))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def aclose(self) -> None:
        """Wait until everything is settled."""
        while self._settling:
            await asyncio.gather(*self._settling)

    async def _taken(self, limits: Limits, least: int, most: int) -> Reservation:
        budget, began = self._budgets.of(limits.tenant) or 0, self._clock.monotonic()
        while True:
            now = self._clock.now()
            account, until = account_of(limits.tenant, now), now + timedelta(seconds=limits.total + LIFETIME_SECONDS)
            reserving = self._ledger.reserve(account, least, most, budget=budget, until=until)
            if reservation := await self._reserved(asyncio.ensure_future(reserving)):
                return reservation
            spent = await self._asked(self._ledger.spent(account, now))
            if spent.used + least > budget:
                self._meters.settled(account, 0, max(0, budget - spent.used))
                raise ModelFailed(USED_UP, AttemptOutcome.OVER_BUDGET)
            if self._clock.monotonic() >= began + min(limits.first_token, WAIT_SECONDS):
                raise ModelFailed(HELD, AttemptOutcome.OVER_BUDGET)
            await self._clock.sleep(PAUSE_SECONDS)

    async def _reserved(self, reserving: "asyncio.Future[Reservation | None]") -> Reservation | None:
        """Whoever goes away while it is under way gives back what comes of it."""
        try:
            return await self._asked(asyncio.shield(reserving))
        except (asyncio.CancelledError, TimeoutError):
            reserving.add_done_callback(self._given_back)
            raise

    def _given_back(self, reserving: "asyncio.Future[Reservation | None]") -> None:
        if not reserving.cancelled() and reserving.exception() is None and (reservation := reserving.result()):
            self.settle(reservation, 0)

    async def _asked(self, asking: Awaitable[Result]) -> Result:
        async with asyncio.timeout(LEDGER_SECONDS):
            return await asking

    async def _settle(self, reservation: Reservation, used: int) -> None:
        try:
            spent = await self._ledger.settle(reservation, used)
        except Unavailable as error:
            self._away(error)  # the reservation expires, and counts as used whole
            return
        if spent:
            self._told(reservation, used, spent)

    def _told(self, reservation: Reservation, used: int, spent: Spent) -> None:
        budget = self._budgets.of(reservation.account.tenant) or 0
        self._meters.settled(reservation.account, used, max(0, budget - spent.used))

    def _away(self, error: Exception) -> None:
        self._away_until = self._clock.monotonic() + AWAY_SECONDS
        reason = str(error) or "it takes too long"
        log.warning("budget_ledger_away", reason=reason, seconds=AWAY_SECONDS, fails_open=self._fails_open)
