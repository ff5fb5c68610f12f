"""Answer afresh what the cache answered, so that both answers can be compared."""

from collections import deque
from collections.abc import Callable
from contextlib import aclosing

from plumbline_gateway.domain import Answer, Assignment, Caller, Completed, Generated, Hit, Outcome, Reanswered
from plumbline_gateway.ports import AnswerGenerator, AuditLog, PassageSearch
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.release import Release

MINUTE = 60.0


class Allowance:
    """How much may be audited: *per_minute*, and only while less than half of the slots for callers is taken."""

    def __init__(self, per_minute: int, is_busy: Callable[[], bool], clock: Clock) -> None:
        self._per_minute = per_minute
        self._is_busy = is_busy
        self._clock = clock
        self._begun: deque[float] = deque()

    def take(self) -> bool:
        """Whether one more may begin now."""
        now = self._clock.monotonic()
        while self._begun and self._begun[0] <= now - MINUTE:
            self._begun.popleft()
        if self._is_busy() or len(self._begun) >= self._per_minute:
            return False
        self._begun.append(now)
        return True


class AuditHit:
    """Works as the caller who was answered, and only within that caller's rights. Nobody waits for it."""

    def __init__(
        self,
        search: PassageSearch,
        generator: AnswerGenerator,
        audits: AuditLog,
        *,
        release: Release,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._search = search
        self._generator = generator
        self._audits = audits
        self._passages = release.retrieval.passages
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, served: Completed, caller: Caller) -> None:
        """Tell both answers of a question that was answered from the cache, or whose hit was withheld.

        Raises `Unavailable` where there is no fresh answer by a model, and whatever searching and generating raise.
        """
        if isinstance(served.result, Hit):
            fresh_id = self._new_id()
            fresh = await self._answer(served, served.result, fresh_id)
            await self._tell(served, served.result, caller, fresh_id, fresh)
        elif served.result.withheld is not None:
            await self._tell(served, served.result.withheld, caller, served.answer_id, served.result.answer)

    async def _answer(self, served: Completed, hit: Hit, fresh_id: str) -> Answer:
        asked = served.asked
        passages = await self._search.search(asked.wordings, self._passages, None)
        assignment = Assignment(
            fresh_id,
            asked.text,
            passages,
            served.release,
            asked.condensation,
            audited_answer_id=hit.cached_answer_id,
        )
        async with aclosing(self._generator.generate(assignment)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generated):
                    return piece.answer
        raise Unavailable("generation ended without an answer")

    async def _tell(self, served: Completed, hit: Hit, caller: Caller, fresh_id: str, fresh: Answer) -> None:
        if fresh.outcome is Outcome.DEGRADED:
            raise Unavailable("the fresh answer is an extract: no model wrote it")
        await self._audits.reanswered(
            Reanswered(
                served_answer_id=served.answer_id,
                caller=caller,
                release=served.release,
                question=served.asked.text,
                hit=hit,
                withheld=hit is not served.result,
                fresh_answer_id=fresh_id,
                fresh=fresh,
                time=self._clock.now(),
            )
        )
