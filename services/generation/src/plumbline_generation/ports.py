"""What generation needs from outside, in its own words."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from plumbline_generation.domain.answer import Answer, Assignment, Record
from plumbline_generation.domain.attempts import NOT_COUNTED, UNTRODDEN, AttemptOutcome, Trail, Usage
from plumbline_generation.domain.budget import Account, Reservation, Spent
from plumbline_generation.domain.consistency import Consistency
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.routing import RouteStatus
from plumbline_kit.identity import Identity


class ModelFailed(Exception):
    """The model gave no answer, or only a part of one. The text is a reason that a caller may read."""

    def __init__(
        self,
        reason: str,
        outcome: AttemptOutcome = AttemptOutcome.BROKE_OFF,
        *,
        retry_after: float | None = None,
        trail: Trail = UNTRODDEN,
    ) -> None:
        """*retry_after* are the seconds for which the model asks to be left alone."""
        super().__init__(reason)
        self.outcome = outcome
        self.retry_after = retry_after
        self.trail = trail


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the model may take, in seconds from the moment it is asked."""

    first_token: float
    total: float
    tenant: str = ""
    """Out of whose budget the tokens are taken."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The model has ended."""

    ended_itself: bool = True
    """False when a limit of tokens ended it."""
    usage: Usage = NOT_COUNTED
    trail: Trail = UNTRODDEN
    consistency: Consistency | None = None
    """Where the text is one of several."""


class LanguageModel(Protocol):
    """Writes."""

    def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """Pieces of text as they are written, then `Finish`. Raises `ModelFailed`, in time, before or amid the text.

        Closing the generator stops the model.
        """
        ...


class Ledger(Protocol):
    """Keeps what tenants took of their daily tokens. Raises `Unavailable`."""

    async def reserve(
        self, account: Account, least: int, most: int, *, budget: int, until: datetime
    ) -> Reservation | None:
        """Keep as many tokens as are left of *budget*, at most *most*; None where that is less than *least*.

        What is not settled *until* then counts as used.
        """
        ...

    async def settle(self, reservation: Reservation, used: int) -> Spent | None:
        """Replace a reservation, late or not, by what was used, and tell how the day stands; None if it was before."""
        ...

    async def spent(self, account: Account, now: datetime) -> Spent:
        """What is used by *now* and what is reserved."""
        ...


class Models(Protocol):
    """Knows whom it would ask."""

    def status(self) -> RouteStatus:
        """How every endpoint stands now."""
        ...


@dataclass(frozen=True, slots=True)
class Generated:
    """The fact that an answer was written for somebody."""

    assignment: Assignment
    answer: Answer
    record: Record
    caller: Identity
    time: datetime


class Journal(Protocol):
    """Keeps what was generated."""

    async def record(self, fact: Generated, seconds: float) -> bool:
        """Whether the fact is certain to be kept, as far as that is known after *seconds*.

        It goes on being recorded after that, and when the caller no longer waits.
        """
        ...
