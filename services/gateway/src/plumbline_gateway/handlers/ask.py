"""The use case of the front door: answer a question from memory, else from the documents."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from functools import partial

import structlog

from plumbline_gateway.domain import (
    Asked,
    Assignment,
    Caller,
    Completed,
    Delta,
    Event,
    Freshness,
    Generated,
    Hit,
    Lookup,
    PassageRef,
    Question,
    ReleaseRef,
    Started,
    joined,
)
from plumbline_gateway.handlers.slots import Slots
from plumbline_gateway.handlers.write import CALLERS_ERRORS, WriteAnswer, read_answer
from plumbline_gateway.handlers.writing import Writing, Writings
from plumbline_gateway.ports import Announcer, AnswerCache, AnswerGenerator, PassageSearch, QuestionCondenser
from plumbline_kit.clock import Clock
from plumbline_kit.errors import NotFound, PlumblineError
from plumbline_kit.release import Release
from plumbline_kit.telemetry import annotate, names

log = structlog.get_logger()


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
        waiting: Slots,
        outlive: Callable[[], None],
        reserve_seconds: float,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        """*slots* bounds what is answered at once, *waiting* who waits for an answer that was begun for others.

        *outlive* lets a task work on when its call is over. *reserve_seconds* of the caller's time are kept to answer
        without generation.
        """
        self._cache = cache
        self._search = search
        self._condenser = condenser
        self._announcer = announcer
        self._release = ReleaseRef(release.application_id, release.id)
        self._write = WriteAnswer(search, generator, release.retrieval.passages)
        self._freshness = Freshness(release.cache.freshness)
        self._slots = slots
        self._waiting = waiting
        self._writings = Writings(slots, outlive=outlive)
        self._reserve_seconds = reserve_seconds
        self._clock = clock
        self._new_id = new_id

    async def __call__(
        self, question: Question, caller: Caller, seconds: float | None = None
    ) -> AsyncGenerator[Event, None]:
        """*seconds* is how long the caller waits; None is for ever.

        Raises `NotFound`, `Exhausted`, `DeadlineExceeded`, or, when the documents cannot be searched, `Unavailable`.
        """
        self._require(question.application_id)
        async with aclosing(self._answer(question, caller, seconds)) as events:
            async for event in events:
                if isinstance(event, Completed):
                    annotate(_attributes(event))
                    # Before the last message, for its caller may leave as soon as it has come; this only schedules.
                    self._announcer.served(event, caller)
                yield event

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

    async def _answer(self, question: Question, caller: Caller, seconds: float | None) -> AsyncGenerator[Event, None]:
        began = self._clock.monotonic()
        answer_id, key = self._new_id(), self._key(question, caller)
        started = Started(answer_id, self._release)

        def completed(asked: Asked, result: Hit | Generated) -> Completed:
            return Completed(answer_id, self._release, asked, result, self._clock.monotonic() - began)

        freshness = self._freshness_of(question)
        left = partial(self._left, None if seconds is None else began + seconds - self._reserve_seconds)
        asked, lookup, writing = Asked(question.text), Lookup(), None
        if joins := self._writings.under_way(key) is not None:
            yield started
            writing = await self._join(key, freshness, left)
        if writing is None:
            with self._slots.one():
                if not joins:
                    yield started
                asked = await self._condense(question)
                lookup = await self._recall(asked, freshness)
                if lookup.hit is not None:
                    yield Delta(lookup.hit.answer.text)
                    yield completed(asked, lookup.hit)
                    return
                writing = await self._join(key, freshness, left)
            annotate({names.CACHE_MISS_REASON: lookup.miss_reason})
            # The slot is the writing's from here on: nothing waits between giving it back and taking it.
            writing = writing or self._writings.begin(
                key, answer_id, self._write(asked, self._assignment(answer_id, asked, question), lookup.embedding)
            )
        with nullcontext() if writing.answer_id == answer_id else self._waiting.one():
            only_by_a_model = bool(question.json_schema)
            async with aclosing(read_answer(writing, answer_id, left, only_by_a_model=only_by_a_model)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generated):
                        yield completed(asked, replace(piece, withheld=lookup.withheld))
                    else:
                        yield piece

    def _key(self, question: Question, caller: Caller) -> tuple[str, Caller] | None:
        """What those have in common who may be given one answer; None where it is the asker's alone."""
        if question.turns or self._freshness_of(question) is Freshness.BYPASS:
            return None
        return question.text, caller

    def _assignment(self, answer_id: str, asked: Asked, question: Question) -> Assignment:
        """What is to be written, but for the passages, which have to be found."""
        return Assignment(
            answer_id, asked.text, (), self._release, asked.condensation, question.json_schema, question.samples
        )

    def _left(self, until: float | None) -> float | None:
        return None if until is None else until - self._clock.monotonic()

    def _freshness_of(self, question: Question) -> Freshness:
        """What is cached was written in words whatever the schema, and agrees with nothing."""
        bypasses = question.json_schema or question.samples
        return Freshness.BYPASS if bypasses else question.freshness or self._freshness

    async def _recall(self, asked: Asked, freshness: Freshness) -> Lookup:
        """A hit that may be served, else why there is none."""
        if freshness is Freshness.BYPASS:
            return Lookup(miss_reason="bypass")
        lookup = await self._revalidated(await self._look_up(asked), asked)
        if lookup.hit is None or freshness is Freshness.EVENTUAL or await self._are_current(lookup.hit.answer.sources):
            return lookup
        return Lookup(miss_reason="not_current", embedding=lookup.embedding)

    async def _look_up(self, asked: Asked) -> Lookup:
        try:
            return await self._cache.lookup(asked.text, self._release, asked.conversation)
        except PlumblineError as error:
            log.warning("cache_skipped", reason=str(error))
            return Lookup(miss_reason="unreachable")

    async def _revalidated(self, lookup: Lookup, asked: Asked) -> Lookup:
        """A hit if a passage came that might have changed the answer, and the search finds those it was given."""
        hit = lookup.to_revalidate
        if hit is None:
            return lookup
        try:
            found = await self._write.find(asked.wordings, lookup.embedding)
        except PlumblineError as error:
            log.warning("cached_answer_not_revalidated", cached_answer_id=hit.cached_answer_id, reason=str(error))
            return lookup
        same = _names(passage.ref for passage in found) == _names(hit.answer.sources)
        return Lookup(hit, embedding=lookup.embedding) if same else lookup

    async def _are_current(self, sources: Sequence[PassageRef]) -> bool:
        try:
            return await self._search.all_current(sources)
        except PlumblineError as error:
            log.warning("sources_not_verified", reason=str(error))
            return False

    async def _join(
        self, key: tuple[str, Caller] | None, freshness: Freshness, left: Callable[[], float | None]
    ) -> Writing | None:
        """What is being written for others and may be read here too, if the caller reads before it waits again.

        Its passages may have been found before a document changed that this caller knows to have changed: with `STRICT`
        they are verified as those of a hit.
        """
        while (writing := self._writings.under_way(key)) is not None:
            if freshness is Freshness.EVENTUAL:
                return writing
            sources = [passage.ref for passage in await writing.found(left)]
            if await self._are_current(sources) and writing.is_open:
                return writing
            if self._writings.under_way(key) is writing:
                return None  # and the caller's own takes its place
        return None


def _names(passages: Iterable[PassageRef]) -> list[tuple[str, str]]:
    """Without their versions: an unchanged passage keeps its hash from one to the next."""
    return sorted((passage.document_id, passage.passage_hash) for passage in passages)


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
            names.COALESCED_WITH: result.coalesced_with,
            names.RELEASE_ID: completed.release.release_id,
            names.APPLICATION_ID: completed.release.application_id,
        }
    )
