"""The use case of the front door: answer a question from memory, else from the documents."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace

import structlog

from plumbline_gateway.domain import (
    Asked,
    Assignment,
    Caller,
    Claim,
    Claimed,
    Completed,
    Delta,
    Embedding,
    Event,
    Freshness,
    Generated,
    Hit,
    Lookup,
    Passage,
    Question,
    ReleaseRef,
    Started,
    degraded_answer,
    joined,
)
from plumbline_gateway.ports import Announcer, AnswerCache, AnswerGenerator, PassageSearch, QuestionCondenser
from plumbline_kit.clock import Clock
from plumbline_kit.errors import (
    Exhausted,
    Invalid,
    NotFound,
    PermissionDenied,
    PlumblineError,
    Unauthenticated,
    Unavailable,
)
from plumbline_kit.release import Release
from plumbline_kit.telemetry import annotate, names

log = structlog.get_logger()

OVER_BUDGET = "OVER_BUDGET"
CALLERS_ERRORS = (Invalid, Unauthenticated, PermissionDenied)
"""What no other way to an answer would mend."""


class Slots:
    """A bound on what is answered at once; refuses at once what goes beyond it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def is_busy(self) -> bool:
        """Whether half of them or more are taken."""
        return 2 * self._taken >= self._limit

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot. Raises `Exhausted` when there is none."""
        if self._taken >= self._limit:
            raise Exhausted(f"{self._limit} questions are being answered here already; come back in a moment")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class AskQuestion:
    """Answers one question, as events: started, deltas and claims, completed."""

    def __init__(
        self,
        cache: AnswerCache,
        search: PassageSearch,
        condenser: QuestionCondenser,
        generator: AnswerGenerator,
        announcer: Announcer,
        *,
        release: Release,
        slots: Slots,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._cache = cache
        self._search = search
        self._condenser = condenser
        self._generator = generator
        self._announcer = announcer
        self._release = ReleaseRef(release.application_id, release.id)
        self._passages = release.retrieval.passages
        self._freshness = Freshness(release.cache.freshness)
        self._slots = slots
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, question: Question, caller: Caller) -> AsyncGenerator[Event, None]:
        """Raises `NotFound`, `Exhausted`, or, when the documents cannot be searched, `Unavailable`."""
        began = self._clock.monotonic()
        self._require(question.application_id)
        with self._slots.one():
            answer_id = self._new_id()
            yield Started(answer_id, self._release)
            asked = await self._condense(question)
            async with aclosing(self._answer(asked, question, answer_id)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Delta | Claimed):
                        yield piece
                    else:
                        seconds = self._clock.monotonic() - began
                        completed = Completed(answer_id, self._release, asked, piece, seconds)
                        annotate(_attributes(completed))
                        # Before the last message, for its caller may leave as soon as it has come; this only schedules.
                        self._announcer.served(completed, caller)
                        yield completed

    def _require(self, application_id: str) -> None:
        if application_id != self._release.application_id:
            raise NotFound(
                f"application {application_id[:100]!r} is not served here; {self._release.application_id!r} is"
            )

    async def _condense(self, question: Question) -> Asked:
        if not question.turns:
            return Asked(question.text)
        try:
            asked = await self._condenser.condense(question, self._release)
        except CALLERS_ERRORS:
            raise
        except PlumblineError as error:
            log.warning("question_not_condensed", reason=str(error))
            condensation = joined(question, "generation could not be reached")
            asked = Asked(condensation.standalone, condensation)
        return asked.within(question.turns)

    async def _answer(
        self, asked: Asked, question: Question, answer_id: str
    ) -> AsyncGenerator[Delta | Claimed | Hit | Generated, None]:
        lookup = await self._recall(asked, self._freshness_of(question))
        if lookup.hit is not None:
            yield Delta(lookup.hit.answer.text)
            yield lookup.hit
            return
        annotate({names.CACHE_MISS_REASON: lookup.miss_reason})
        passages = await self._find(asked.wordings, lookup.embedding)
        assignment = Assignment(
            answer_id, asked.text, passages, self._release, asked.condensation, question.json_schema, question.samples
        )
        async with aclosing(self._generate(assignment)) as pieces:
            async for piece in pieces:
                yield replace(piece, withheld=lookup.withheld) if isinstance(piece, Generated) else piece

    def _freshness_of(self, question: Question) -> Freshness:
        """What is cached was written in words whatever the schema, and agrees with nothing."""
        bypasses = question.json_schema or question.samples
        return Freshness.BYPASS if bypasses else question.freshness or self._freshness

    async def _recall(self, asked: Asked, freshness: Freshness) -> Lookup:
        """A hit that may be served, else why there is none."""
        if freshness is Freshness.BYPASS:
            return Lookup(miss_reason="bypass")
        lookup = await self._look_up(asked)
        if lookup.hit is None or freshness is Freshness.EVENTUAL or await self._is_current(lookup.hit):
            return lookup
        return Lookup(miss_reason="not_current", embedding=lookup.embedding)

    async def _look_up(self, asked: Asked) -> Lookup:
        try:
            return await self._cache.lookup(asked.text, self._release, asked.conversation)
        except PlumblineError as error:
            log.warning("cache_skipped", reason=str(error))
            return Lookup(miss_reason="unreachable")

    async def _is_current(self, hit: Hit) -> bool:
        try:
            return await self._search.all_current([source.ref for source in hit.answer.sources])
        except PlumblineError as error:
            log.warning("cached_answer_not_verified", cached_answer_id=hit.cached_answer_id, reason=str(error))
            return False

    async def _find(self, wordings: Sequence[str], embedding: Embedding | None) -> tuple[Passage, ...]:
        try:
            return await self._search.search(wordings, self._passages, embedding)
        except Invalid as error:
            if embedding is None:
                raise
            # The question is valid, so the vector is not: cache and index run different encoders for now.
            log.warning("question_vector_refused", encoder_id=embedding.encoder_id, reason=str(error))
            return await self._find(wordings, None)
        except Unavailable as error:
            raise Unavailable(f"the documents cannot be searched: {error}", retry_after=error.retry_after) from error

    async def _generate(self, assignment: Assignment) -> AsyncGenerator[Delta | Claimed | Generated, None]:
        written: list[str] = []
        try:
            async with aclosing(self._generator.generate(assignment)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generated):
                        yield piece
                    elif isinstance(piece, Claim):
                        yield Claimed(piece)
                    else:
                        written.append(piece)
                        yield Delta(piece)
        except CALLERS_ERRORS:
            raise
        except PlumblineError as error:
            if assignment.json_schema or error.reason == OVER_BUDGET:
                raise  # no other answer than a model's is wanted
            log.warning("generation_unreachable", answer_id=assignment.answer_id, reason=str(error))
            text = "".join(written)
            answer = degraded_answer(text, assignment.passages)
            yield Delta(answer.text[len(text) :])
            yield Generated(answer, model="extractive", reason="generation could not be reached")


def _attributes(completed: Completed) -> dict[str, str]:
    result = completed.result
    hit = {names.CACHE_TIER: result.tier.value} if isinstance(result, Hit) else {}
    condensation = completed.asked.condensation
    condensed = {names.CONDENSATION_METHOD: condensation.method.value} if condensation else {}
    return (
        hit
        | condensed
        | {
            names.ANSWER_ID: completed.answer_id,
            names.ANSWER_ORIGIN: result.origin.value,
            names.CACHED_ANSWER_ID: result.cached_answer_id,
            names.RELEASE_ID: completed.release.release_id,
            names.APPLICATION_ID: completed.release.application_id,
        }
    )
