"""Which models were asked for an answer, what came of each, and what the answer cost."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class AttemptOutcome(Enum):
    """What came of an attempt; the last four were not asked."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    BROKE_OFF = "broke_off"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    MALFORMED = "malformed"
    REJECTED = "rejected"
    """The request does not suit this endpoint; others may fare well there."""
    MISCONFIGURED = "misconfigured"
    """Every request fails there until somebody mends the settings."""
    OVERTAKEN = "overtaken"
    ABANDONED = "abandoned"
    """Whoever asked went away."""
    CIRCUIT_OPEN = "circuit_open"
    FULL = "full"
    PROMPT_TOO_LONG = "prompt_too_long"
    OVER_BUDGET = "over_budget"
    """Its tenant has no tokens left for it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the model counted; 0 where it told nothing."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


NOT_COUNTED: Final = Usage()


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount in whole units of an ISO 4217 currency."""

    currency: str
    amount: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One endpoint, asked or passed over. *reason* is empty where it answered."""

    endpoint: str
    model: str
    outcome: AttemptOutcome
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trail:
    """How a text was come by: who wrote it, at what cost, and who was asked before."""

    endpoint: str = ""
    model: str = ""
    """Both are empty where nobody wrote anything."""
    attempts: tuple[Attempt, ...] = ()
    cost: Cost | None = None
    further_costs: tuple[Cost, ...] = ()
    """In other currencies, where several texts were written."""

    def followed_by(self, other: "Trail") -> "Trail":
        """This and then *other*, whose text is the one that is told."""
        costs: dict[str, float] = {}
        for cost in (self.cost, *self.further_costs, other.cost, *other.further_costs):
            if cost:
                costs[cost.currency] = costs.get(cost.currency, 0.0) + cost.amount
        paid = tuple(Cost(currency, amount) for currency, amount in costs.items())
        attempts = (*self.attempts, *other.attempts)
        return Trail(other.endpoint, other.model, attempts, paid[0] if paid else None, paid[1:])


UNTRODDEN: Final = Trail()
