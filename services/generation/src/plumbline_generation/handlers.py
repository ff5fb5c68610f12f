"""The use case: write an answer that rests on the passages it was given."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from plumbline_generation.domain.answer import (
    EXTRACTIVE,
    Answer,
    Assignment,
    Claim,
    GuardResult,
    Passage,
    Record,
    check_question,
)
from plumbline_generation.domain.attempts import NOT_COUNTED, UNTRODDEN, AttemptOutcome, Trail, Usage
from plumbline_generation.domain.budget import OVER_BUDGET, Budgets, BudgetStatus, Spent, account_of, next_day
from plumbline_generation.domain.condensing import by_rule
from plumbline_generation.domain.consistency import Consistency, Sample, agreements
from plumbline_generation.domain.conversation import Condensation, Conversation
from plumbline_generation.domain.guarding import OutputGuard, guard_record, guard_result
from plumbline_generation.domain.packing import Offsets, Packed
from plumbline_generation.domain.prompt import Prompt, PromptTokens, PromptWriter
from plumbline_generation.domain.refusal import MODEL_DOES_NOT_KNOW, UNTOLD, Prospect, prospect
from plumbline_generation.domain.rewriting import MAX_WRITTEN_CHARACTERS, TOO_MUCH, RewritingPrompt, rewritten
from plumbline_generation.domain.routing import RouteStatus
from plumbline_generation.domain.schema import Schema
from plumbline_generation.domain.screening import NOT_ANSWERED, Screen, Screened, worst
from plumbline_generation.domain.settling import Grounding, Settled
from plumbline_generation.domain.structuring import MODEL_FAILED, NO_JSON, UNCHECKED, Structuring
from plumbline_generation.ports import Finish, Generated, Journal, LanguageModel, Ledger, Limits, ModelFailed, Models
from plumbline_guards.findings import Finding
from plumbline_guards.placeholders import Restorer, without_placeholders
from plumbline_guards.scanner import scan
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Exhausted, Invalid, Unavailable, Unfulfilled
from plumbline_kit.identity import Identity
from plumbline_kit.release import Release, Unchecked
from plumbline_models.abstention import says_it_does_not_know

NO_TIME: Final = "no time was left for the model"
CONVERSATION_UNSCANNED: Final = "the guards could not check the conversation"
MAX_CHECKED_CHARACTERS: Final = 100_000
MAX_CANARY_CHARACTERS: Final = 256
MAX_COUNTED_TEXTS: Final = 100
MAX_COUNTED_CHARACTERS: Final = 400_000
REWRITING_SHARE: Final = 0.6
"""Of the time for condensing a question that the model may take: the rule needs next to none."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take, in seconds."""

    record: float
    """For the event log to acknowledge an answer."""
    margin: float
    """What is kept of the caller's time to deliver an answer when the model has failed."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the text, as it is written. The completed answer alone is authoritative."""

    text: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A sentence of the text so far is settled."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Guarded:
    """A guard found something, or could not look."""

    result: GuardResult


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of every answer. *recorded* means that its evaluation is certain."""

    answer: Answer
    record: Record
    recorded: bool


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, since when and until when, in the clock's monotonic seconds."""

    caller: Identity
    began: float
    deadline: float
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What may be answered, the passages that the prompt has room for, and what may be expected of those found."""

    screened: Screened
    packed: Packed
    prospect: Prospect


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a text, and what it took."""

    settled: Settled
    usage: Usage = NOT_COUNTED
    first_token_time: float | None = None
    trail: Trail = UNTRODDEN
    consistency: Consistency | None = None
    repaired: bool | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A text that nobody has seen yet, how it ended, and when its first piece came."""

    text: str
    finish: Finish
    first_token_time: float | None

    def after(self, other: "Whole") -> "Whole":
        """This text, with what both took."""
        finish = replace(
            self.finish,
            usage=other.finish.usage + self.finish.usage,
            trail=other.finish.trail.followed_by(self.finish.trail),
            consistency=other.finish.consistency,
        )
        return Whole(self.text, finish, self.first_token_time)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One sample: its text and how it ended, or why there is none."""

    seed: int
    text: str
    finish: Finish
    failure: ModelFailed | None = None


class SampledModel:
    """`LanguageModel` that writes several texts at once, seeds in a row, and tells the one nearest to the others."""

    def __init__(self, model: LanguageModel, seed: int, count: int, fits: Callable[[str], bool]) -> None:
        """*fits* says which texts may be told, should any of them be."""
        self._model = model
        self._seeds = range(seed, seed + count)
        self._fits = fits

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`. The text comes whole, when all have ended; it fails when all of them do."""
        async with asyncio.TaskGroup() as group:
            drawing = [group.create_task(self._draw(replace(prompt, seed=seed), seed, limits)) for seed in self._seeds]
        drawn = [task.result() for task in drawing]
        texts = [one for one in drawn if one.failure is None]
        if not texts:
            raise _all_failed(drawn)
        agreed = agreements([one.text for one in texts]) if len(texts) > 1 else [None]
        by_seed = {one.seed: agreement for one, agreement in zip(texts, agreed, strict=True)}
        fitting = [one for one in texts if self._fits(one.text)] or texts
        best = max(fitting, key=lambda one: by_seed[one.seed] or 0.0)  # of equals the one with the lowest seed
        samples = [
            Sample(one.seed, one.finish.usage.completion_tokens, by_seed.get(one.seed), str(one.failure or ""))
            for one in drawn
        ]
        yield best.text
        yield replace(_joined(drawn, best), consistency=Consistency(tuple(samples), best.seed))

    async def _draw(self, prompt: Prompt, seed: int, limits: Limits) -> Drawn:
        text, finish = "", Finish()
        try:
            async with aclosing(self._model.write(prompt, limits)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finish):
                        finish = piece
                    else:
                        text += piece
        except ModelFailed as failure:
            return Drawn(seed, text, Finish(trail=failure.trail), failure)
        return Drawn(seed, text, finish)


def _joined(drawn: Sequence[Drawn], told: Drawn) -> Finish:
    """The end of *told*, with what all of them took."""
    trail, usage = UNTRODDEN, NOT_COUNTED
    for one in (*(one for one in drawn if one is not told), told):
        trail, usage = trail.followed_by(one.finish.trail), usage + one.finish.usage
    return replace(told.finish, trail=trail, usage=usage)


def _all_failed(drawn: Sequence[Drawn]) -> ModelFailed:
    """One failure for all: the first one's, with everybody's trail."""
    first = drawn[0].failure or ModelFailed("no text was asked for")
    return ModelFailed(str(first), first.outcome, trail=replace(_joined(drawn, drawn[0]).trail, endpoint="", model=""))


class GenerateAnswer:
    """Answers one assignment, as events: what guards found, deltas and claims, then completed."""

    def __init__(
        self,
        model: LanguageModel,
        journal: Journal,
        offsets: Offsets,
        *,
        release: Release,
        patience: Patience,
        clock: Clock,
        guard: OutputGuard,
        screen: Screen,
    ) -> None:
        """*offsets* counts tokens. Raises `ValueError` for a release whose prompt does not render."""
        self._model = model
        self._journal = journal
        self._release = release
        self._prompts = PromptWriter(release, offsets)
        self._patience = patience
        self._clock = clock
        self._guard = guard
        self._screen = screen

    async def __call__(
        self, assignment: Assignment, caller: Identity, deadline: float
    ) -> AsyncGenerator[Delta | Claimed | Guarded | Completed, None]:
        """*deadline* is in the clock's monotonic seconds.

        Raises `NotFound` for a release that is not held here, and `Exhausted` where the caller's tokens are used up and
        the release says so. Where the answer is to fit a schema, also `Unfulfilled` when what the model writes does
        not, or `Unavailable` when it writes nothing.
        """
        samples = assignment.samples or self._release.model.samples
        call = Call(caller, self._clock.monotonic(), deadline, samples)
        self._release.require(assignment.application_id, assignment.release_id)
        self._require_checkable(assignment)
        reading = await self._read(assignment)
        for event in _news(reading.screened.results):
            yield event
        async with aclosing(self._write(reading, assignment.schema, call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Written):
                    for event in _news(guard_result(*piece.settled.windows)):
                        yield event
                    yield await self._complete(piece, assignment, reading, call)
                else:
                    yield Claimed(piece) if isinstance(piece, Claim) else Delta(piece)

    async def _read(self, assignment: Assignment) -> Reading:
        if self._screen.is_quick(assignment):
            return self._screen_and_pack(assignment)
        return await asyncio.to_thread(self._screen_and_pack, assignment)

    def _screen_and_pack(self, assignment: Assignment) -> Reading:
        screened = self._screen.screened(assignment)
        packed = self._prompts.pack(screened.passages)
        screened.look_at_packed(packed)
        original = assignment.condensation.original if assignment.condensation else ""
        return Reading(screened, packed, self._prospect(screened, packed, original))

    def _prospect(self, screened: Screened, packed: Packed, original: str) -> Prospect:
        """Of all that was found: the search was for a passage among them, whatever the prompt has room for."""
        if screened.reason:
            return UNTOLD
        found = screened.passages if packed.sources else ()  # passages without text are none
        return prospect(without_placeholders(screened.question), found, self._release.guard, original)

    async def _write(
        self, reading: Reading, schema: Schema | None, call: Call
    ) -> AsyncGenerator[str | Claim | Written, None]:
        screened, packed, guard = reading.screened, reading.packed, self._release.guard
        asked = without_placeholders(screened.question)
        grounding = Grounding(asked, packed.sources, guard, self._guard, screened.values)
        reason = screened.reason or reading.prospect.reason
        if not reason:
            prompt = self._prompts.write(screened.question, replace(packed, blocks=screened.shown))
            if schema:
                written = await self._structured(prompt, schema, grounding, screened, packed, call)
                yield written.settled.draft.text
                yield written
                return
            async with aclosing(self._ask_model(prompt, grounding, call)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        refused = grounding.refuse(reason, NOT_ANSWERED if screened.reason else "")
        yield refused.draft.text
        yield Written(refused)

    async def _ask_model(
        self, prompt: Prompt, grounding: Grounding, call: Call
    ) -> AsyncGenerator[str | Claim | Written, None]:
        grounded = grounding.begin()
        finish, first, failure = Finish(), None, ""
        try:
            async with aclosing(self._writer(call).write(prompt, self._limits(call))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finish):
                        finish = piece
                        continue
                    first = self._clock.monotonic() if first is None else first
                    for event in grounded.take(piece):
                        yield event
                    if grounded.closed:
                        break
        except ModelFailed as error:
            self._insist_on_budget(error)
            failure, finish = str(error), Finish(trail=error.trail)
        for event in grounded.finish(ended_itself=finish.ended_itself, failed=bool(failure)):
            yield event
        settled = grounding.settle(grounded, failure)
        for event in settled.draft.after("" if grounded.closed else grounded.shown):
            yield event
        yield Written(settled, finish.usage, first, finish.trail, finish.consistency)

    async def _structured(
        self, prompt: Prompt, schema: Schema, grounding: Grounding, screened: Screened, packed: Packed, call: Call
    ) -> Written:
        """JSON that fits, of at most two attempts; nothing of it is told before it fits."""
        structuring = Structuring(schema, self._release.guard, self._guard, packed.sources, screened.values)
        asked = structuring.asked(prompt)
        writer = self._writer(call, lambda text: not structuring.read(text).problems)
        whole = await self._whole(writer, asked, call)
        read, repaired = structuring.read(whole.text), False
        if read.problems and not says_it_does_not_know(whole.text):
            second, repaired = await self._whole(self._model, structuring.asked_again(asked, read), call), True
            whole = second.after(whole)
            read = structuring.read(whole.text)
        if read.problems and not says_it_does_not_know(whole.text):
            raise Unfulfilled(f"the model wrote nothing that fits: {structuring.told(read)}", reason=NO_JSON)
        settled = grounding.refuse(MODEL_DOES_NOT_KNOW) if read.problems else structuring.settled(read)
        finish = whole.finish
        return Written(settled, finish.usage, whole.first_token_time, finish.trail, finish.consistency, repaired)

    def _writer(self, call: Call, fits: Callable[[str], bool] = bool) -> LanguageModel:
        """What writes the answer: the model, or the best of several texts of it among those that fit."""
        return (
            SampledModel(self._model, self._release.model.seed, call.samples, fits) if call.samples > 1 else self._model
        )

    async def _whole(self, model: LanguageModel, prompt: Prompt, call: Call) -> Whole:
        text, finish, first = "", Finish(), None
        try:
            async with aclosing(model.write(prompt, self._limits(call))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finish):
                        finish = piece
                        continue
                    first = self._clock.monotonic() if first is None else first
                    text += piece
        except ModelFailed as error:
            self._insist_on_budget(error, always=True)
            raise Unavailable(str(error), reason=MODEL_FAILED) from error
        return Whole(text, finish, first)

    def _require_checkable(self, assignment: Assignment) -> None:
        """Values of JSON are held against no passage, which a release may not want."""
        if assignment.schema and self._release.guard.unchecked is Unchecked.WITHHOLD:
            raise Unfulfilled("this release withholds what is not checked, as values of JSON are", reason=UNCHECKED)

    def _insist_on_budget(self, error: ModelFailed, *, always: bool = False) -> None:
        """Raises `Exhausted` where no other answer will do than a model's."""
        insists = always or self._release.model.over_budget == "fail"
        if error.outcome is AttemptOutcome.OVER_BUDGET and insists:
            now = self._clock.now()
            raise Exhausted(str(error), retry_after=(next_day(now) - now).total_seconds(), reason=OVER_BUDGET)

    def _limits(self, call: Call) -> Limits:
        model = self._release.model
        total = min(model.total_seconds, call.deadline - self._clock.monotonic() - self._patience.margin)
        if total <= 0:
            raise ModelFailed(NO_TIME)
        return Limits(min(model.first_token_seconds, total), total, call.caller.tenant)

    async def _complete(self, written: Written, assignment: Assignment, reading: Reading, call: Call) -> Completed:
        settled, screened, packed = written.settled, reading.screened, reading.packed
        answer = settled.draft.answer(packed.sources)
        now = self._clock.monotonic()
        first = now if written.first_token_time is None else written.first_token_time
        record = Record(
            model=self._author(written),
            usage=written.usage,
            seconds_to_first_token=first - call.began,
            seconds=now - call.began,
            reason=settled.draft.reason,
            trail=written.trail if settled.draft.by_model else replace(written.trail, endpoint="", model=""),
            guard=guard_record(*settled.windows),
            guards=(*screened.results, *guard_result(*settled.windows)),
            dropped=screened.dropped,
            grounding=settled.grounding,
            condensed=assignment.condensation.method if assignment.condensation else None,
            blocks=packed.blocks,
            consistency=written.consistency,
            answerability=reading.prospect.answerability,
            repaired=written.repaired,
        )
        fact = Generated(assignment, answer, record, call.caller, self._clock.now())
        seconds = max(0.0, min(self._patience.record, call.deadline - now - self._patience.margin / 2))
        return Completed(answer, record, await self._journal.record(fact, seconds))

    def _author(self, written: Written) -> str:
        if not written.settled.draft.by_model:
            return EXTRACTIVE
        return written.trail.model or self._release.model.name


class Direction(Enum):
    """Which way a text goes."""

    INPUT = "input"
    """A question to the model."""
    PASSAGE = "passage"
    """Found in a document, given to the model."""
    OUTPUT = "output"
    """To a reader."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to check. Raises `Invalid` where there is too much of it."""

    text: str
    canary: str = ""
    """Of an output, beside the guard's own if this is empty."""
    direction: Direction = Direction.OUTPUT
    passages: tuple[str, ...] = ()
    """Of an output: what it may quote accounts from, and link to the hosts of."""

    def __post_init__(self) -> None:
        quotable = sum(map(len, self.passages))
        for name, length, most in (
            ("text", len(self.text), MAX_CHECKED_CHARACTERS),
            ("canary", len(self.canary), MAX_CANARY_CHARACTERS),
            ("passages", quotable, MAX_CHECKED_CHARACTERS),
        ):
            if length > most:
                raise Invalid.field(name, f"has {length:,} characters; at most {most:,} are allowed")


@dataclass(frozen=True, slots=True)
class Checked:
    """A text as it may leave, how it came through, and what stands in the one that was given."""

    text: str
    outcome: GuardOutcome
    findings: tuple[Finding, ...]
    results: tuple[GuardResult, ...] = ()


class CheckText:
    """The guards alone, on a text from elsewhere."""

    def __init__(self, guard: OutputGuard, screen: Screen) -> None:
        self._guard = guard
        self._screen = screen

    async def __call__(self, text: Text) -> Checked:
        """With the guards off the text is UNSCANNED: nobody may take it for checked."""
        checks = {Direction.OUTPUT: self._output, Direction.INPUT: self._question, Direction.PASSAGE: self._passage}
        return await asyncio.to_thread(checks[text.direction], text)

    def _output(self, given: Text) -> Checked:
        window = self._guard.window_over(given.passages, canary=given.canary)
        passed = window.take(given.text) + window.finish()
        scanned = bool(window.policy.actions)
        outcome = window.outcome if scanned else GuardOutcome.UNSCANNED
        return Checked(passed, outcome, tuple(window.findings), guard_result(window))

    def _question(self, given: Text) -> Checked:
        screened = self._screen.question(given.text)
        return _checked(given.text, screened, screened.question)

    def _passage(self, given: Text) -> Checked:
        screened = self._screen.passage(given.text)
        return _checked(given.text, screened, "".join(part.text for part in screened.shown))


def _checked(given: str, screened: Screened, read: str) -> Checked:
    passed = "" if screened.reason else read
    return Checked(passed, worst(screened.results), tuple(scan(given)), tuple(screened.results))


def _news(results: Iterable[GuardResult]) -> Iterator[Guarded]:
    return (Guarded(result) for result in results if result.is_news)


@dataclass(frozen=True, slots=True)
class Condensed:
    """What became of a question, and what the model did for it."""

    condensation: Condensation
    finish: Finish = field(default_factory=Finish)


class CondenseQuestion:
    """Makes of a question asked within a conversation one that stands alone."""

    def __init__(self, model: LanguageModel, *, release: Release, clock: Clock, screen: Screen) -> None:
        """Raises `ValueError` for a release whose conversation prompt does not render."""
        self._model = model
        self._screen = screen
        self._release = release
        self._prompt = RewritingPrompt(release.conversation)
        self._clock = clock

    async def __call__(
        self, conversation: Conversation, application_id: str, release_id: str, *, tenant: str, deadline: float
    ) -> Condensed:
        """The tokens are *tenant*'s; *deadline* is in the clock's monotonic seconds.

        Raises `NotFound` for a release that is not held here.
        """
        settings = self._release.require(application_id, release_id).conversation
        recent = conversation.last(settings.turns)
        if settings.method == "rule" or not recent.turns:
            return Condensed(by_rule(recent))
        try:
            text, finish = await self._written(recent, tenant, deadline)
        except ModelFailed as error:
            return Condensed(by_rule(recent, str(error)), Finish(trail=error.trail))
        condensation = rewritten(text, recent) if finish.ended_itself else TOO_MUCH
        if isinstance(condensation, str):
            condensation = by_rule(recent, condensation)
        return Condensed(condensation, finish)

    async def _written(self, conversation: Conversation, tenant: str, deadline: float) -> tuple[str, Finish]:
        seconds = REWRITING_SHARE * (deadline - self._clock.monotonic())
        if seconds <= 0:
            raise ModelFailed(NO_TIME)
        text, finish = "", Finish()
        hidden, values = await self._hidden(conversation)
        prompt = self._prompt.render(hidden)
        async with aclosing(self._model.write(prompt, Limits(seconds, seconds, tenant))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    finish = piece
                elif len(text := text + piece) > 2 * (MAX_WRITTEN_CHARACTERS + len(conversation.question)):
                    break
        restorer = Restorer(values)
        return restorer.take(text) + restorer.finish(), finish

    async def _hidden(self, conversation: Conversation) -> tuple[Conversation, Mapping[str, str]]:
        """What the model may read of it, and the values that it does not."""
        said = [*(turn.text for turn in conversation.turns), conversation.question]
        try:
            texts, values = await asyncio.to_thread(self._screen.hidden, said)
            turns = [replace(turn, text=text) for turn, text in zip(conversation.turns, texts, strict=False)]
            return Conversation(tuple(turns), texts[-1]), values
        except Exception as error:  # whatever goes wrong in a guard, the rule needs no model
            raise ModelFailed(CONVERSATION_UNSCANNED) from error


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of texts, and of a prompt where one was asked for."""

    texts: tuple[int, ...]
    prompt: PromptTokens | None


class CountTokens:
    """Measures texts and prompts before anybody pays for them."""

    def __init__(self, release: Release, offsets: Offsets, *, tokenizer: str) -> None:
        """*tokenizer* names what *offsets* counts by. Raises `ValueError` for a prompt that does not render."""
        self.tokenizer = tokenizer
        self._prompts = PromptWriter(release, offsets)
        self._offsets = offsets

    async def __call__(self, texts: Sequence[str], question: str, passages: Sequence[Passage]) -> Counted:
        """Raises `Invalid` for too many or too long texts, or a question that could not be asked."""
        if len(texts) > MAX_COUNTED_TEXTS:
            raise Invalid.field("texts", f"has {len(texts)} entries; at most {MAX_COUNTED_TEXTS} are allowed")
        if (length := sum(map(len, texts))) > MAX_COUNTED_CHARACTERS:
            raise Invalid.field("texts", f"has {length:,} characters; at most {MAX_COUNTED_CHARACTERS:,} are allowed")
        if question:
            check_question(question)
        return await asyncio.to_thread(self._count, texts, question, passages)

    def _count(self, texts: Sequence[str], question: str, passages: Sequence[Passage]) -> Counted:
        counts = tuple(len(self._offsets(text)) for text in texts)
        return Counted(counts, self._prompts.count(question, passages) if question else None)


class ListModels:
    """Whom this process would ask."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def __call__(self) -> RouteStatus:
        """The endpoints in the route's order."""
        return self._models.status()


class GetBudget:
    """What a tenant has left today."""

    def __init__(self, budgets: Budgets, ledger: Ledger, clock: Clock) -> None:
        self._budgets = budgets
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, tenant: str) -> BudgetStatus:
        """Raises `Unavailable` where the ledger is away. Without a budget nothing is counted."""
        now, tokens = self._clock.now(), self._budgets.of(tenant)
        spent = Spent() if tokens is None else await self._ledger.spent(account_of(tenant, now), now)
        return BudgetStatus(tokens, spent, next_day(now))
