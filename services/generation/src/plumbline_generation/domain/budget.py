"""How many tokens a tenant may take in a day, and what its calls may cost before anybody has counted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from plumbline_generation.domain.attempts import AttemptOutcome, Usage

USED_UP: Final = "today's token budget is used up"
HELD: Final = "what is left of today's token budget is held for answers under way"
OVER_BUDGET: Final = "OVER_BUDGET"
"""The reason of an error, for programs."""
LEAST_OUTPUT_TOKENS: Final = 16
"""A call that could write less is not worth its prompt."""
FIRST_RATIO: Final = 1.5
RATIO_MARGIN: Final = 1.1
UNBILLED: Final = (
    AttemptOutcome.UNREACHABLE,
    AttemptOutcome.SERVER_ERROR,
    AttemptOutcome.RATE_LIMITED,
    AttemptOutcome.REJECTED,
    AttemptOutcome.MISCONFIGURED,
)
"""How a call may end that no model has read."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Tokens per day, prompts and answers together; `math.inf` is no bound."""

    of_each: float = math.inf
    of_tenants: Mapping[str, float] = field(default_factory=dict)
    """Of those that have their own."""

    def of(self, tenant: str) -> int | None:
        """A tenant's tokens per day; None where it may take any number."""
        tokens = self.of_tenants.get(tenant, self.of_each)
        return None if math.isinf(tokens) else int(tokens)


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """Who may take how much, where that is counted, and what happens while it cannot be."""

    budgets: Budgets = field(default_factory=Budgets)
    postgres_dsn: str = field(default="", repr=False)
    """Empty: counted in this process alone, and forgotten when it ends."""
    fails_open: bool = True
    """Whether the model is asked while the ledger is away."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's tokens of one day, by UTC."""

    tenant: str
    day: date


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens that are kept for one call until it tells what it took."""

    id: str
    account: Account
    tokens: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of a day's tokens."""

    used: int = 0
    reserved: int = 0
    """For calls that have not ended."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How a tenant's budget stands. *tokens_per_day* is None where there is no bound."""

    tokens_per_day: int | None
    spent: Spent
    resets: datetime


def account_of(tenant: str, now: datetime) -> Account:
    """Whose tokens a call at *now* takes."""
    return Account(tenant, now.astimezone(UTC).date())


def next_day(now: datetime) -> datetime:
    """When the next day begins, by UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


class PromptBound:
    """The most tokens that a prompt may take by an endpoint's tokenizer, from what ours counts.

    It takes the largest ratio that the endpoint has told, and a tenth more; before it has told any, half as much again.
    """

    def __init__(self) -> None:
        self._ratio = 0.0

    def of(self, counted: int) -> int:
        """For a prompt of *counted* tokens."""
        return math.ceil(counted * (self._ratio * RATIO_MARGIN or FIRST_RATIO))

    def learn(self, counted: int, told: int) -> None:
        """The endpoint has *told* what a prompt took."""
        if counted and told:
            self._ratio = max(self._ratio, told / counted)


@dataclass(slots=True)
class Bill:
    """What one call has taken so far."""

    prompt_tokens: int
    """As counted here."""
    text: str = ""
    told: Usage | None = None
    outcome: AttemptOutcome | None = None
    """Of a call that failed."""

    def finish(self, usage: Usage) -> None:
        """The endpoint has ended; it may have told nothing."""
        self.told = usage if usage.prompt_tokens or usage.completion_tokens else None

    def total(self, written_tokens: int) -> int:
        """What it took; *written_tokens* are those of `text`, as counted here."""
        if self.told:
            return self.told.prompt_tokens + self.told.completion_tokens
        return 0 if self.outcome in UNBILLED else self.prompt_tokens + written_tokens
