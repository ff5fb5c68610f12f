"""What comes in: questions and passages as the model may read them, and what is done with what guards find there."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from plumbline_generation.domain.answer import Assignment, Block, GuardResult, Passage, PassageRef
from plumbline_generation.domain.packing import Packed
from plumbline_guards.detector import OPERATING_POINT, Detector
from plumbline_guards.findings import NEVER_TOLD, Finding, Kind
from plumbline_guards.memo import Memo
from plumbline_guards.placeholders import Placeholders, reserved
from plumbline_guards.plain import plain
from plumbline_guards.scanner import scan
from plumbline_guards.topics import Topics
from plumbline_guards.window import Action, Outcome

log = structlog.get_logger()

NOT_ANSWERED: Final = "This question was not answered."
OFF_TOPIC_REASON: Final = "the question is about none of the topics that are answered here"
TOPIC_REASON: Final = "the question is about a topic that is not answered here"
INJECTION_REASON: Final = "the question tries to turn the model against its instructions"
INSTRUCTIONS_REASON: Final = "every passage that was found holds instructions to the model"
UNSCANNED_REASON: Final = "the guards could not check the question or its passages"

QUESTION_DATA: Final = "question.data"
QUESTION_TOPICS: Final = "question.topics"
QUESTION_INJECTION: Final = "question.injection"
PASSAGES_DATA: Final = "passages.data"
PASSAGES_INSTRUCTIONS: Final = "passages.instructions"

HIDDEN_IN_QUESTIONS: Final = NEVER_TOLD | {Kind.IBAN}
"""Contacts are kept: who asks about an address wants the model to read it."""
HIDDEN_IN_PASSAGES: Final = NEVER_TOLD
"""An IBAN may be quoted, so the model reads it."""
HIDEABLE: Final = (*sorted(HIDDEN_IN_QUESTIONS, key=lambda kind: kind.name), Kind.EMAIL, Kind.PHONE, Kind.IP_ADDRESS)
"""What can be hidden."""
AT_ONCE_CHARACTERS: Final = 2_000
"""Of a question and new passages, that are looked at on the event loop; more would hold up the other answers."""
Similarity = Callable[[str], float]
"""How near a question is to the nearest example of what is answered: a cosine."""
MEMORY: Final = 4_096
"""Texts of passages whose findings are kept."""


@dataclass(frozen=True, slots=True)
class ScreenPolicy:
    """What to do with what is found, and what if looking fails."""

    hidden_in_questions: frozenset[Kind] = HIDDEN_IN_QUESTIONS
    hidden_in_passages: frozenset[Kind] = HIDDEN_IN_PASSAGES
    injection: Action = Action.BLOCK
    """BLOCK refuses the question, MARK counts it, PASS does not look."""
    instructions: Action = Action.BLOCK
    """BLOCK drops the passage."""
    topics: Topics = field(default_factory=Topics)
    minimum_similarity: float = 0.0
    """To the nearest example, where there are any; below it a question is off the topics."""
    seconds: float = 1.0
    """Of looking, for one answer."""
    fails_open: bool = False


class Screen:
    """The guards of what comes in. Passages are remembered, because the same ones come again."""

    def __init__(
        self,
        policy: ScreenPolicy,
        detector: Detector | None,
        monotonic: Callable[[], float],
        similarity: Similarity | None = None,
    ) -> None:
        """Without a *detector*, no attacks are looked for; without *similarity*, every topic is answered."""
        self.policy = policy
        self.detector = detector
        self.similarity = similarity
        self.monotonic = monotonic
        self.found_in: Memo[list[Finding]] = Memo(lambda texts: [scan(text) for text in texts], MEMORY)
        self.instructions_in: Memo[float] | None = Memo(detector.document_scores, MEMORY) if detector else None

    def is_quick(self, assignment: Assignment) -> bool:
        """Whether there is so little to look at that it need not leave the event loop."""
        texts = [_readable(passage) for passage in assignment.passages]
        memory = self.instructions_in if self.policy.instructions is not Action.PASS else None
        new = (memory or self.found_in).missing(texts)
        asked = len(assignment.question) + (len(assignment.schema.text) if assignment.schema else 0)
        return self.similarity is None and asked + sum(map(len, new)) <= AT_ONCE_CHARACTERS

    def screened(self, assignment: Assignment) -> "Screened":
        """What may be answered of *assignment*, and from which of its passages."""
        names = Placeholders(reserved((assignment.question, *map(_readable, assignment.passages))))
        beside = assignment.schema.prose if assignment.schema else ""
        screened = Screened(self, assignment.question, assignment.passages, names, beside=beside)
        screened.look_at_question()
        screened.look_at_passages()
        return screened

    def hidden(self, texts: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        """*texts* of one caller as a model may read them, and their values by placeholder. May raise anything."""
        names, hides = Placeholders(reserved(texts)), self.policy.hidden_in_questions
        read = [plain(text).text for text in texts]
        return [names.hide(text, scan(text), lambda kind, _: kind in hides).text for text in read], names.values

    def question(self, text: str) -> "Screened":
        """A question alone."""
        screened = Screened(self, text, (), Placeholders(reserved((text,))))
        screened.look_at_question()
        return screened

    def passage(self, text: str) -> "Screened":
        """A passage alone; nothing is shown of one that is dropped."""
        passage = Passage(PassageRef("", 0, ""), "", "", text, 0, len(text), 0.0)
        screened = Screened(self, "", (passage,), Placeholders(reserved((text,))))
        screened.look_at_passages()
        blocks = [Block((1,), "", "", kept.text, 0, cut=False) for kept in screened.passages]
        screened.look_at_packed(Packed(screened.passages, tuple(blocks)))
        return screened


@dataclass
class Screened:
    """A question and its passages under way through the guards. Once there is a *reason* nothing more is looked at."""

    screen: Screen
    question: str
    """As the model may read it; at first as it was asked."""
    passages: tuple[Passage, ...]
    """Those that it may read."""
    names: Placeholders
    reason: str = ""
    """Why the question is not answered; empty if it may be."""
    results: list[GuardResult] = field(default_factory=list)
    dropped: tuple[PassageRef, ...] = ()
    shown: tuple[Block, ...] = ()
    """What the model reads of the passages that were packed."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The question's own, by placeholder: they are put back into the answer; those of passages are not."""
    beside: str = ""
    """What the caller has the model read beside the question: a schema."""

    def __post_init__(self) -> None:
        self._asked = self.question

    def look_at_question(self) -> None:
        """Hide its values, then see whether it is answered at all."""
        policy = self.screen.policy
        self._look(QUESTION_DATA, self._hide_in_question)
        if policy.topics or self.screen.similarity:
            self._look(QUESTION_TOPICS, self._look_for_topics)
        if self.screen.detector and policy.injection is not Action.PASS:
            self._look(QUESTION_INJECTION, partial(self._look_for_injection, self.screen.detector))

    def look_at_passages(self) -> None:
        """Drop those that hold instructions."""
        memory = self.screen.instructions_in
        if memory and self.passages and self.screen.policy.instructions is not Action.PASS:
            self._look(PASSAGES_INSTRUCTIONS, partial(self._look_for_instructions, memory))

    def look_at_packed(self, packed: Packed) -> None:
        """Hide the values in what of the passages fits the prompt."""
        self.shown = packed.blocks
        if packed.blocks and self.screen.policy.hidden_in_passages:
            self._look(PASSAGES_DATA, self._hide_in_packed)

    def _look(self, guard: str, look: Callable[[], tuple[Outcome, Mapping[Kind, int]]]) -> None:
        if self.reason:
            return
        began, policy = self.screen.monotonic(), self.screen.policy
        try:
            outcome, counts = look()
        except Exception as error:  # whatever goes wrong in a guard must not take the answer with it
            log.warning("guard_gave_up", guard=guard, reason=type(error).__name__, fails_open=policy.fails_open)
            outcome, counts = Outcome.UNSCANNED, {}
        seconds = self.screen.monotonic() - began
        if sum(result.seconds for result in self.results) + seconds > policy.seconds and not self.reason:
            outcome = Outcome.UNSCANNED
        if outcome is Outcome.UNSCANNED and not policy.fails_open:
            self.reason = UNSCANNED_REASON
        self.results.append(GuardResult(guard, outcome, counts, seconds))

    def _hide_in_question(self) -> tuple[Outcome, Mapping[Kind, int]]:
        read, hides = plain(self.question), self.screen.policy.hidden_in_questions
        findings = scan(read.text)
        hidden = self.names.hide(read.text, findings, lambda kind, _: kind in hides)
        changed = hidden.text != self.question
        self.question, self.values = hidden.text, dict(self.names.values)
        return _changed(changed), read.counts + Counter(finding.kind for finding in findings)

    def _look_for_topics(self) -> tuple[Outcome, Mapping[Kind, int]]:
        found = sum(len(self.screen.policy.topics.find(text)) for text in (self._asked, self.beside))
        self.reason = TOPIC_REASON if found else "" if self._is_on_topic() else OFF_TOPIC_REASON
        return (Outcome.BLOCKED if self.reason else Outcome.PASSED), _counted(Kind.DENIED_TOPIC, found)

    def _is_on_topic(self) -> bool:
        similarity = self.screen.similarity
        return similarity is None or similarity(self._asked) >= self.screen.policy.minimum_similarity

    def _look_for_injection(self, detector: Detector) -> tuple[Outcome, Mapping[Kind, int]]:
        score = max(detector.scores([self._asked, self.beside] if self.beside else [self._asked]))
        attacks, blocks = score >= OPERATING_POINT, self.screen.policy.injection is Action.BLOCK
        self.reason = INJECTION_REASON if attacks and blocks else ""
        return (Outcome.BLOCKED if self.reason else Outcome.PASSED), _counted(Kind.INJECTION, int(attacks))

    def _look_for_instructions(self, memory: Memo[float]) -> tuple[Outcome, Mapping[Kind, int]]:
        scores = memory.of([_readable(passage) for passage in self.passages])
        attacks = [score >= OPERATING_POINT for score in scores]
        counts = _counted(Kind.INSTRUCTIONS, sum(attacks))
        if not any(attacks) or self.screen.policy.instructions is Action.MARK:
            return Outcome.PASSED, counts
        pairs = list(zip(self.passages, attacks, strict=True))
        self.dropped = tuple(passage.ref for passage, attack in pairs if attack)
        self.passages = tuple(passage for passage, attack in pairs if not attack)
        self.reason = "" if self.passages else INSTRUCTIONS_REASON
        return (Outcome.CHANGED if self.passages else Outcome.BLOCKED), counts

    def _hide_in_packed(self) -> tuple[Outcome, Mapping[Kind, int]]:
        counts, before = Counter[Kind](), self.shown
        self.shown = tuple(self._hidden_block(block, counts) for block in before)
        return _changed(self.shown != before), counts

    def _hidden_block(self, block: Block, counts: Counter[Kind]) -> Block:
        title, section, text = (self._hidden(text, counts) for text in (block.title, block.section, block.text))
        return replace(block, title=title, section=section, text=text)

    def _hidden(self, text: str, counts: Counter[Kind]) -> str:
        [findings] = self.screen.found_in.of([text])
        hides = self.screen.policy.hidden_in_passages
        hidden = self.names.hide(text, findings, lambda kind, value: kind in hides or self.names.knows(kind, value))
        counts.update(finding.kind for finding in findings)
        return hidden.text


def _readable(passage: Passage) -> str:
    """All of it that a template may show."""
    return "\n".join((*passage.provenance.title_path, passage.evidence))


def _changed(changed: bool) -> Outcome:
    return Outcome.CHANGED if changed else Outcome.PASSED


def _counted(kind: Kind, count: int) -> Mapping[Kind, int]:
    return {kind: count} if count else {}


def worst(results: Sequence[GuardResult]) -> Outcome:
    """One outcome for all; UNSCANNED where nothing looked."""
    outcomes = {result.outcome for result in results}
    order = (Outcome.BLOCKED, Outcome.UNSCANNED, Outcome.CHANGED, Outcome.PASSED)
    return next((outcome for outcome in order if outcome in outcomes), Outcome.UNSCANNED)
