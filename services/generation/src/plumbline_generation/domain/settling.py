"""What becomes of a model's text when it has ended: an answer, a part of one, an extract of the passages, a refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from plumbline_generation.domain.answer import GroundingRecord, Outcome, Passage
from plumbline_generation.domain.citations import Checker, cite
from plumbline_generation.domain.draft import EMPTY, NOTHING_SUPPORTED, Draft
from plumbline_generation.domain.extract import extract
from plumbline_generation.domain.grounding import GroundedText
from plumbline_generation.domain.guarding import GuardedText, OutputGuard, blocked
from plumbline_generation.domain.refusal import MODEL_DOES_NOT_KNOW, refusal
from plumbline_guards.placeholders import Restorer
from plumbline_guards.window import Window
from plumbline_kit.release import GuardSettings, Unsupported

NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settled:
    """A draft, the windows that it came through, and how the model's sentences fared."""

    draft: Draft
    windows: tuple[Window, ...] = ()
    grounding: GroundingRecord | None = None


class Grounding:
    """One answer's question, what it may rest on, and the release's policy."""

    def __init__(
        self,
        question: str,
        passages: Sequence[Passage],
        settings: GuardSettings,
        guard: OutputGuard,
        values: Mapping[str, str] = NO_VALUES,
    ) -> None:
        """*values* are the caller's own, by the placeholders that the model reads for them."""
        self._question = question
        self._passages = tuple(passages)
        self._settings = settings
        self._guard = guard
        self._values = values
        self._checker = Checker(self._passages, settings.minimum_claim_support, tuple(values.values()))

    def begin(self) -> GroundedText:
        """What the model's text goes through."""
        guarded = GuardedText(self._guard.window(self._passages), Restorer(self._values))
        return GroundedText(guarded, self._checker, self._settings)

    def refuse(self, reason: str, text: str = "") -> Settled:
        """A refusal in those words, or in those that say what was found instead."""
        draft = Draft(text or refusal(self._passages), outcome=Outcome.REFUSED, by_model=False, reason=reason)
        return self._checked(draft)

    def settle(self, text: GroundedText, failure: str = "") -> Settled:
        """*failure* says why the model broke off; empty where it ended."""
        window = text.guarded.window
        if text.closed:
            return Settled(blocked(window), (window,), text.record)
        settled = self._settle(text, failure)
        return replace(settled, windows=(window, *settled.windows), grounding=settled.grounding or text.record)

    def _settle(self, text: GroundedText, failure: str) -> Settled:
        if text.refuses:
            return self._refusal_of(text)
        if self._settings.unsupported is Unsupported.REPLACE and text.record and 2 * text.withheld >= text.sentences:
            return self._replaced(text, failure)
        return self._kept(text, failure)

    def _kept(self, text: GroundedText, failure: str) -> Settled:
        if text.kept:
            outcome = Outcome.DEGRADED if failure else Outcome.ANSWERED
            return Settled(Draft(text.kept, tuple(text.claims), outcome, reason=failure))
        if failure or not text.guarded.text:
            return self._extract(failure or EMPTY)
        return self.refuse(NOTHING_SUPPORTED)

    def _refusal_of(self, text: GroundedText) -> Settled:
        if text.kept:
            return Settled(Draft(text.kept, outcome=Outcome.REFUSED, reason=MODEL_DOES_NOT_KNOW))
        return self.refuse(MODEL_DOES_NOT_KNOW)

    def _replaced(self, text: GroundedText, failure: str) -> Settled:
        """What is left, followed by an extract; without a useful one, only what is left."""
        least = self._settings.minimum_question_support
        quotes = self._extract(failure or NOTHING_SUPPORTED, least, without=text.kept)
        if not quotes.draft.text or not text.record:
            return self._kept(text, failure)
        record = replace(text.record, replaced=len(quotes.draft.claims))
        if not text.kept or quotes.windows[0].closed:
            return replace(quotes, grounding=record)
        kept = self._kept(text, failure).draft
        return replace(quotes, draft=kept.followed_by(quotes.draft.text, quotes.draft.claims), grounding=record)

    def _extract(self, reason: str, least: float = 0.0, without: str = "") -> Settled:
        quotes = extract(self._question, self._passages, least=least, without=without)
        return self._checked(Draft(quotes, outcome=Outcome.DEGRADED, by_model=False, reason=reason))

    def _checked(self, draft: Draft) -> Settled:
        """*draft*, which no model wrote, as it may leave."""
        draft, window = self._guard.check(draft, self._passages)
        claims = () if draft.outcome is Outcome.REFUSED else cite(draft.text, self._checker)
        return Settled(replace(draft, claims=claims), (window,))
