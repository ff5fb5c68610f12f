"""Take in again what was evaluated before: after a return to an earlier release, or when room was made too soon."""

import asyncio
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from plumbline_cache.domain.admission import Candidate, Refusal
from plumbline_cache.handlers.admit import AdmitAnswer, Admitted
from plumbline_cache.ports import EvaluatedAnswers, Turns
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Exhausted

log = structlog.get_logger()


@dataclass
class Warmed:
    """What became of the evaluated answers of a tenant."""

    admitted: int = 0
    held: int = 0
    """They were there."""
    refused: Counter[Refusal] = field(default_factory=Counter)
    whole: bool = False
    """Whether time sufficed for all of them."""

    @property
    def read(self) -> int:
        """All that was looked at."""
        return self.admitted + self.held + self.refused.total()


@dataclass(frozen=True)
class WarmEntries:
    """Answers come in by the same rules as ever: what was wanted gone or has changed sources stays out."""

    answers: EvaluatedAnswers
    admit: AdmitAnswer
    operators: Turns
    clock: Clock
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, tenant: str, seconds: float) -> Warmed:
        """Return when all was looked at, or after *seconds*. What is in stays in, so that calling again goes on.

        Raises `Exhausted` while another warming is under way, and `Unavailable`.
        """
        if self._one.locked():
            raise Exhausted("the cache is being warmed already", retry_after=seconds)
        async with self._one:
            warmed = Warmed()
            with suppress(TimeoutError):  # the log may be away, or all that it has be others'
                async with asyncio.timeout(seconds):
                    await self._warm(tenant, self.clock.monotonic() + seconds, warmed)
        log.info("cache_warmed", tenant_id=tenant, admitted=warmed.admitted, read=warmed.read, whole=warmed.whole)
        return warmed

    async def _warm(self, tenant: str, until: float, warmed: Warmed) -> None:
        async with aclosing(self.answers.of_tenant(tenant)) as candidates:
            async for candidate in candidates:
                if self.clock.monotonic() >= until:
                    return
                await self._take(candidate, warmed)
        warmed.whole = True

    async def _take(self, candidate: Candidate, warmed: Warmed) -> None:
        # Asked before, so that what is refused anyway is neither counted nor logged as if it had been heard anew.
        outcome: Admitted | Refusal | None = candidate.refusal(self.admit.application, self.admit.release)
        if outcome is None and await self.operators.run(partial(self._is_held, candidate)):
            warmed.held += 1
            return
        outcome = outcome or await self.admit(candidate)
        if isinstance(outcome, Refusal):
            warmed.refused[outcome] += 1
        elif outcome.anew:
            warmed.admitted += 1
        else:
            warmed.held += 1

    def _is_held(self, candidate: Candidate) -> bool:
        """Then no vector is needed."""
        held = self.admit.store.find(candidate.entry_id)
        return held is not None and held.answer_id == candidate.answer_id
