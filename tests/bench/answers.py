"""What answers are worth, before and after they are grounded: by the local model, by extracts, and by both joined.

Questions are drawn from the halves of clapnq and mtrag on which nothing was chosen. A search finds their passages among
2,328 of clapnq, mtrag and xquad. The model is asked once a question; every way of answering has the same text from it.
"""

import argparse
import asyncio
import random
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from rich.console import Console
from rich.progress import Progress

from plumbline_generation.domain.answer import Answer, Assignment, Claim, ClaimStatus, Outcome
from plumbline_generation.domain.conversation import Condensation, Method
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.routing import EndpointSettings, Leg, RouteSettings
from plumbline_generation.handlers import Completed, GenerateAnswer, Patience
from plumbline_generation.ports import Finish, LanguageModel, Limits
from plumbline_generation.settings import GuardSettings
from plumbline_generation.testing import FakeJournal, FakeModel
from plumbline_generation.wiring import build_guards, build_route, open_clients
from plumbline_kit.clock import SystemClock
from plumbline_kit.identity import Identity
from plumbline_kit.release import Release, Unsupported, load_release
from plumbline_models.encoder import Encoder
from tests.bench import figures
from tests.bench.asked import Asked, Found, find, questions
from tests.bench.figures import Figure
from tests.bench.platform import Bench, running
from tests.bench.pooled import load
from tests.bench.scoring import is_held, knowledge_precision, token_f1
from tests.bench.settings import BenchSettings

RELEASE: Final = Path("deploy/local/release.toml")
SETS: Final = ("clapnq", "mtrag")
QUESTIONS: Final = 40
"""Of each set with an answer, and as many without: the local model takes about a second for each."""
MODEL_SECONDS: Final = 120.0  # it is asked what it writes, not how soon
SAMPLED: Final = 100
GOAL: Final = 0.8
MINIMUM_ANSWERABILITY: Final = 0.5
"""Where about as many questions without an answer are refused as others are answered."""


@dataclass(frozen=True, slots=True)
class Way:
    """How questions are answered."""

    name: str
    unsupported: Unsupported = Unsupported.MARK
    minimum_answerability: float = 0.0
    by_model: bool = True

    def of(self, release: Release) -> Release:
        """*release* with this policy, and time enough for the model."""
        guard = replace(release.guard, unsupported=self.unsupported, minimum_answerability=self.minimum_answerability)
        model = replace(release.model, first_token_seconds=MODEL_SECONDS, total_seconds=MODEL_SECONDS)
        return replace(release, guard=guard, model=model)


MARKED: Final = Way("model, marked")
JOINED: Final = Way("model and extracts, refusing", Unsupported.REPLACE, MINIMUM_ANSWERABILITY)
EXTRACTS: Final = Way("extracts", by_model=False)
WAYS: Final = (
    MARKED,
    Way("model, withheld", Unsupported.WITHHOLD),
    Way("model and extracts", Unsupported.REPLACE),
    EXTRACTS,
    Way("model, marked, refusing", minimum_answerability=MINIMUM_ANSWERABILITY),
    JOINED,
    Way("extracts, refusing", minimum_answerability=MINIMUM_ANSWERABILITY, by_model=False),
)


@dataclass(frozen=True, slots=True)
class Given:
    """A question and the answer that was given to it."""

    asked: Asked
    answer: Answer

    @property
    def refused(self) -> bool:
        """Whether it was."""
        return self.answer.outcome is Outcome.REFUSED

    @property
    def claims(self) -> list[Claim]:
        """Those that claim something."""
        return [claim for claim in self.answer.claims if claim.status is not ClaimStatus.NO_CLAIM]


@dataclass
class Remembering:
    """A model that is asked the same only once: what it wrote then comes again at once."""

    model: LanguageModel
    written: dict[Prompt, list[str | Finish]] = field(default_factory=dict)

    async def write(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Finish, None]:
        """See `LanguageModel`. The whole text is waited for before its first piece is given."""
        if prompt not in self.written:
            self.written[prompt] = [piece async for piece in self.model.write(prompt, limits)]
        for piece in self.written[prompt]:
            yield piece


async def main(*, count: int) -> None:
    """Run on a platform of its own in a temporary folder; `PLUMBLINE_DATA` names the data."""
    data, console, release = BenchSettings.from_env().data, Console(stderr=True), load_release(RELEASE)
    pool = load(data)
    sample = _sample(questions(data, pool), count)
    async with running(["kafka", "retrieval", "llm"]) as bench:
        found = await find(bench, pool, sample, release.retrieval.passages, console)
        given = await _answered(bench, release, found, console)
    figures.report("eval-answers", [*_quality(given), *_recheck(given, release.guard.minimum_claim_support)])


def _sample(asked: Sequence[Asked], count: int) -> list[Asked]:
    """At most *count* of each set with an answer, and without, that are held out."""
    draw, drawn = random.Random(0), list[Asked]()
    for name in SETS:
        for answerable in (True, False):
            fitting = [one for one in asked if one.set == name and one.is_held_out and one.answerable is answerable]
            drawn += draw.sample(fitting, min(count, len(fitting)))
    return drawn


async def _answered(bench: Bench, release: Release, found: Sequence[Found], console: Console) -> dict[Way, list[Given]]:
    """Every question in every way. Those without a model have one that fails at once, as when it is away."""
    route = RouteSettings((Leg(EndpointSettings("local", f"http://{bench.layout.address('llm')}/v1")),))
    offsets, clock = Encoder.load(bench.layout.encoder).offsets, SystemClock()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client) for client in open_clients(route)]
        asking = MARKED.of(release)
        model = Remembering(build_route(route, clients, offsets, release=asking, clock=clock))
        away = FakeModel(pieces=(), failure="no model is asked")
        given = {}
        with Progress(console=console) as progress:
            for way in WAYS:
                own = way.of(release)
                guard, screen = build_guards(GuardSettings(), None, clock)
                generate = GenerateAnswer(
                    model if way.by_model else away,
                    FakeJournal(),
                    offsets,
                    release=own,
                    patience=Patience(record=0.0, margin=0.5),
                    clock=clock,
                    guard=guard,
                    screen=screen,
                )
                told = progress.track(found, description=way.name)
                given[way] = [Given(one.asked, await _answer(generate, own, one, clock)) for one in told]
    return given


async def _answer(generate: GenerateAnswer, release: Release, found: Found, clock: SystemClock) -> Answer:
    asked = found.asked
    condensed = Condensation(asked.wordings[-1], asked.question, Method.RULE) if len(asked.wordings) > 1 else None
    assignment = Assignment(
        str(UUID(int=0)), asked.question, found.passages, release.application_id, release.id, condensed
    )
    caller, deadline = Identity("bench", "bench"), clock.monotonic() + MODEL_SECONDS
    completed = [event async for event in generate(assignment, caller, deadline) if isinstance(event, Completed)]
    return completed[-1].answer


def _quality(given: Mapping[Way, Sequence[Given]]) -> Iterator[Figure]:
    for name in SETS:
        for way, answers in given.items():
            own = [one for one in answers if one.asked.set == name]
            yield from _of_answers(f"{name}, {way.name}", [one for one in own if one.asked.answerable])
            yield from _of_refusals(f"{name}, {way.name}", own, of_goal=way is JOINED)
            yield from _of_faithfulness(f"{name}, {way.name}", own)


def _of_answers(name: str, given: Sequence[Given]) -> Iterator[Figure]:
    """Of questions with an answer. A refusal has an F1 of 0 and cites nothing."""
    scores = [0.0 if one.refused else token_f1(one.answer.text, one.asked.references) for one in given]
    yield _mean(f"{name}: token F1", scores)
    cited = {number: _cited(one) for number, one in enumerate(given)}
    right = [share for shares in cited.values() if shares for share in [sum(shares) / len(shares)]]
    yield _mean(f"{name}: citation precision (cited sources that hold the answer)", right)
    yield _share(f"{name}: citation recall (answers that cite one that does)", [any(each) for each in cited.values()])


def _cited(one: Given) -> list[bool]:
    """Of every source that its claims cite: whether people say that it holds the answer."""
    numbers = dict.fromkeys(number for claim in one.claims for number in claim.source_numbers)
    return [one.asked.is_gold(one.answer.sources[number - 1]) for number in numbers]


def _of_refusals(name: str, given: Sequence[Given], *, of_goal: bool) -> Iterator[Figure]:
    """Precision holds for as many questions without an answer as with one."""
    refused = [one.refused for one in given if not one.asked.answerable]
    answered = [not one.refused for one in given if one.asked.answerable]
    known = GOAL if of_goal else None
    yield figures.share(f"{name}: refusal recall (unanswerable refused)", refused, known=known)
    yield figures.share(f"{name}: answerable answered", answered, known=known)
    yield _share(f"{name}: refusal precision", [not one.asked.answerable for one in given if one.refused])


def _of_faithfulness(name: str, given: Sequence[Given]) -> Iterator[Figure]:
    """Of all that was answered, whether or not there was an answer."""
    told = [one for one in given if not one.refused]
    sentences = [bool(claim.source_numbers) for one in told for claim in one.claims]
    yield _share(f"{name}: faithfulness (sentences that the check supports)", sentences)
    known = [knowledge_precision(one.answer.text, _knowledge(one.answer)) for one in told]
    yield _mean(f"{name}: K-precision", known)


def _knowledge(answer: Answer) -> str:
    return "\n".join(source.evidence for source in answer.sources)


def _recheck(given: Mapping[Way, Sequence[Given]], minimum: float) -> Iterator[Figure]:
    """Sentences that left as supported, against the very pieces that they cite."""
    supported = {
        (one.asked.question, one.answer.text[claim.start : claim.end]): (one.answer, claim)
        for way in (MARKED, JOINED, EXTRACTS)
        for one in given[way]
        for claim in one.claims
        if claim.source_numbers
    }
    drawn = random.Random(0).sample(list(supported.values()), min(SAMPLED, len(supported)))
    held = [is_held(answer, claim, minimum) for answer, claim in drawn]
    name = f"supported sentences whose cited pieces hold them, of {len(drawn)} sampled"
    yield replace(figures.share(name, held), goal=">= 1.0", met=all(held) and len(held) == SAMPLED)


def _share(name: str, outcomes: Sequence[bool]) -> Figure:
    """None of nothing is no share."""
    return figures.share(name, outcomes) if outcomes else Figure(name, None)


def _mean(name: str, values: Sequence[float]) -> Figure:
    """Equal values have no interval that a bootstrap could find."""
    if len(set(values)) > 1:
        return figures.mean(name, values)
    return Figure(name, values[0] if values else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of each set, with an answer and without")
    asyncio.run(main(count=parser.parse_args().questions))
