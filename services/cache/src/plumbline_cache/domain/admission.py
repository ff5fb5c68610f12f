"""Which evaluated answers the cache takes in."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from plumbline_cache.domain.entry import Entry, Saving, Scope, Source, entry_id
from plumbline_cache.domain.shareable import has_hidden, has_personal_data
from plumbline_cache.domain.uncacheable import class_of


class Refusal(Enum):
    """Why an evaluated answer was not taken in."""

    NOT_PASSED = "not_passed"
    NOT_ANSWERED = "not_answered"
    NO_SOURCES = "no_sources"
    REDACTED = "redacted"
    """Its texts hold placeholders: it is not what its caller read."""
    PERSONAL_DATA = "personal_data"
    """The question names somebody's address, telephone, card, account or key."""
    HIDDEN_TEXT = "hidden_text"
    """The question says what is not seen."""
    NEVER_CACHED = "never_cached"
    """The question asks about now, today, or whoever asked."""
    STRUCTURED = "structured"
    """It fits a schema that whoever asks next did not name."""
    OTHER_RELEASE = "other_release"
    FROM_CONVERSATION = "from_conversation"
    """The question holds what somebody said earlier, and nobody knows in which conversation."""
    FROM_THE_FUTURE = "from_the_future"
    """Generated later than any clock that is right can say: a clock has stepped."""
    EXPIRED = "expired"
    """It comes so late that its time to live is over: events are heard again."""
    SOURCE_CHANGED = "source_changed"
    """A source is older than the newest version heard of."""
    WITHDRAWN = "withdrawn"
    """Somebody wanted it gone after it was begun."""
    OLDER_ANSWER = "older_answer"
    """The question already has an answer that was generated later."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An evaluated answer."""

    scope: Scope
    question: str
    answer: bytes
    answer_id: str
    sources: tuple[Source, ...]
    generate_time: datetime
    evaluation_id: str
    passed: bool
    answered: bool
    of_unknown_conversation: bool = False
    """Whether earlier turns are part of the question, and the scope does not say which."""
    redacted: bool = False
    structured: bool = False
    saving: Saving = field(default_factory=Saving)
    least_similarity: float | None = None

    @property
    def entry_id(self) -> str:
        """Where it would be kept."""
        return entry_id(self.scope, self.question)

    def refusal(self, application: str, release: str) -> Refusal | None:
        """Why it cannot be an entry of this release, whatever the documents say."""
        if not self.passed:
            return Refusal.NOT_PASSED
        if not self.answered:
            return Refusal.NOT_ANSWERED
        if self.of_unknown_conversation:
            return Refusal.FROM_CONVERSATION
        if self.redacted:
            return Refusal.REDACTED
        if self.structured:
            return Refusal.STRUCTURED
        if not self.sources:
            return Refusal.NO_SOURCES
        if (self.scope.application, self.scope.release) != (application, release):
            return Refusal.OTHER_RELEASE
        return self._refusal_of_the_question()

    def _refusal_of_the_question(self) -> Refusal | None:
        if has_personal_data(self.question):
            return Refusal.PERSONAL_DATA
        if has_hidden(self.question):
            return Refusal.HIDDEN_TEXT
        return Refusal.NEVER_CACHED if class_of(self.question) else None

    def admitted(self, now: datetime, time_to_live: timedelta) -> Entry:
        """The entry it becomes. Its time runs from the answer's generation, whenever that is heard of."""
        return Entry(
            id=self.entry_id,
            scope=self.scope,
            question=self.question,
            answer=self.answer,
            answer_id=self.answer_id,
            sources=self.sources,
            generate_time=self.generate_time,
            admit_time=now,
            evaluation_id=self.evaluation_id,
            expire_time=self.generate_time + time_to_live,
            saving=self.saving,
            least_similarity=self.least_similarity,
        )
