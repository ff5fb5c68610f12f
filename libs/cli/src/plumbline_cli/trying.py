"""A prompt's own tests, run: its messages looked at, and a model's answers where there is one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from plumbline_cli.asking import Endpoint, Reply
from plumbline_cli.problems import Problem
from plumbline_kit.release import Constant
from plumbline_prompts.checks import check_answer, check_prompt
from plumbline_prompts.file import AnswerChecks, Example, PromptChecks, PromptFile, PromptTest
from plumbline_prompts.hostile import breaches
from plumbline_prompts.template import PromptTemplate

NO_COUNT = "the encoder's tokenizer counts max_tokens and is not built: `plumbline up` builds it"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one thing that was tested."""

    name: str
    kind: str
    """prompt, data or answer."""
    passed: bool
    failures: tuple[str, ...] = ()
    """Each once, in the order in which they came."""
    right: int = 0
    repeats: int = 0
    low: float | None = None
    high: float | None = None
    """Of the share of right answers, with 95 % confidence (Wilson, 1927)."""
    seconds: float | None = None
    """The median answer."""
    texts: tuple[str, ...] = ()
    """The answers."""

    def as_dict(self) -> dict[str, Any]:
        """For machines; what was not asked of a model is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Trial:
    """A prompt's file and what its tests are run with."""

    prompt: PromptFile
    values: Mapping[str, Constant]
    count: Callable[[str], int] | None
    endpoint: Endpoint | None = None
    repeats: int = 1

    def run(self, tell: Callable[[], None]) -> Iterator[Outcome]:
        """Outcomes as they come; *tell* hears of each answer. Raises `Problem` and `PromptProblem`."""
        for example in self.prompt.examples:
            yield self._data(example)
        for test in self.prompt.tests:
            if test.prompt:
                yield self._messages(test, test.prompt)
            if test.answer and self.endpoint:
                yield self._answers(test, test.answer, self.endpoint, tell)

    @property
    def answers(self) -> int:
        """How many answers a model is asked for."""
        return self.repeats * sum(test.answer is not None for test in self.prompt.tests) if self.endpoint else 0

    def _template(self, example: Example) -> PromptTemplate:
        return PromptTemplate(self.prompt.sample({**self.values, **example.variables}))

    def _data(self, example: Example) -> Outcome:
        """Whether hostile texts stay where the example's texts stand."""
        found = breaches(self._template(example), self.prompt.template, example.numbered())
        failures = tuple(f"breaks out: {attack!r}" for attack in found)
        return Outcome(example.name, "data", not failures, failures)

    def _messages(self, test: PromptTest, checks: PromptChecks) -> Outcome:
        example = self.prompt.example(test.example)
        rendered = self._template(example).render(example.question, example.numbered())
        failures = check_prompt(checks, rendered, self.count or _cannot_count)
        return Outcome(test.name, "prompt", not failures, tuple(failures))

    def _answers(self, test: PromptTest, checks: AnswerChecks, endpoint: Endpoint, tell: Callable[[], None]) -> Outcome:
        example = self.prompt.example(test.example)
        rendered = self._template(example).render(example.question, example.numbered())
        replies: list[Reply] = []
        for repeat in range(1, self.repeats + 1):
            replies.append(endpoint.ask(rendered, seed=repeat))
            tell()
        judged = [check_answer(checks, reply.text, reply.seconds, example.numbered()) for reply in replies]
        return _outcome(test.name, judged, replies, checks.at_least)


def _outcome(name: str, judged: Sequence[Sequence[str]], replies: Sequence[Reply], at_least: float) -> Outcome:
    right = sum(not failures for failures in judged)
    low, high = wilson(right, len(judged))
    return Outcome(
        name=name,
        kind="answer",
        passed=right >= at_least * len(judged),
        failures=tuple(dict.fromkeys(failure for failures in judged for failure in failures)),
        right=right,
        repeats=len(judged),
        low=low,
        high=high,
        seconds=median(reply.seconds for reply in replies),
        texts=tuple(reply.text for reply in replies),
    )


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    from scipy import stats  # half a second that the other commands need not wait

    interval = stats.binomtest(right, of).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _cannot_count(text: str) -> int:
    raise Problem(NO_COUNT)
