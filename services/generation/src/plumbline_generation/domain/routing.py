"""Which endpoints may be asked, in which order, and what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from plumbline_generation.domain.attempts import Cost, Usage
from plumbline_generation.domain.breaker import BreakerSettings, BreakerState

PRICED_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens, in whole units of an ISO 4217 currency."""

    input_tokens: float
    output_tokens: float
    currency: str

    def of(self, usage: Usage) -> Cost | None:
        """What *usage* costs; None where nothing was counted."""
        if not usage.prompt_tokens and not usage.completion_tokens:
            return None
        amount = usage.prompt_tokens * self.input_tokens + usage.completion_tokens * self.output_tokens
        return Cost(self.currency, amount / PRICED_TOKENS)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """One model at one address."""

    name: str
    base_url: str
    model: str = ""
    """Empty: the one that the release names."""
    api_key: str = field(default="", repr=False)
    context_tokens: float = math.inf
    """What prompt and answer may take together."""
    max_output_tokens: float = math.inf
    concurrency: int = 4
    first_token_seconds: float = math.inf
    total_seconds: float = math.inf
    price: Price | None = None
    json_schema: bool = False
    """Whether it can be held to a JSON schema (`response_format`)."""


@dataclass(frozen=True, slots=True)
class Leg:
    """An endpoint of a route. Those with a weight share the first try by it; without one it is only a fall-over."""

    endpoint: EndpointSettings
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """Whom to ask."""

    legs: tuple[Leg, ...]
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    hedge_seconds: float | None = None
    """After so long without a token the next endpoint is asked too; None: it is not."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """How an endpoint stands now."""

    endpoint: EndpointSettings
    weight: float
    breaker: BreakerState
    at_work: int
    """Calls that have not ended."""


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """A route's endpoints, in its order."""

    endpoints: tuple[EndpointStatus, ...]
    hedge_seconds: float | None


def order(weights: Sequence[float], draw: float) -> list[int]:
    """Positions in the order in which they are asked: one chosen by weight with *draw* in [0, 1), then the rest."""
    positions = list(range(len(weights)))
    left = draw * sum(weights)
    for position, weight in enumerate(weights):
        if left < weight:
            return [position, *positions[:position], *positions[position + 1 :]]
        left -= weight
    return positions
