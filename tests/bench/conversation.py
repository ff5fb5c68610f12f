"""Retrieval for the last turn of mtrag's conversations, over its own passages, by what the turn was made into.

Words and weights of the rule were chosen on one half of the conversations, by a hash of their ids; figures are of the
other half where they do not say otherwise. `--pooled` searches the whole pooled corpus, which takes as long to encode
as `make bench-retrieval`; `--model-questions 0` leaves the local model out.
"""

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_generation.domain.condensing import by_rule
from plumbline_generation.domain.conversation import Condensation, Conversation, Method, Role, Turn
from plumbline_generation.domain.routing import EndpointSettings, Leg, RouteSettings
from plumbline_generation.domain.screening import Screen, ScreenPolicy
from plumbline_generation.handlers import CondenseQuestion
from plumbline_generation.wiring import build_route, open_clients
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release, load_release
from plumbline_models.encoder import Encoder
from tests.bench import figures, retrieval
from tests.bench.figures import Figure
from tests.bench.platform import Bench, running
from tests.bench.pooled import Dialogue, Pool, load
from tests.bench.settings import BenchSettings

RELEASE = Path("deploy/local/release.toml")
MODEL_SECONDS = 60.0  # for one question: it is asked what the model writes, not how soon
MODEL_QUESTIONS = 20
MODEL_BUDGET_SECONDS = 120.0  # for all of them: on a busy machine fewer are asked, and figures say how many

Way = Callable[[Dialogue], tuple[str, ...]]
"""What is searched for: one question in one or several wordings."""


async def main(*, pooled: bool, model_questions: int) -> None:
    """Run the evaluation on its own platform in a temporary folder."""
    console = Console(stderr=True)
    pool, release = load(BenchSettings.from_env().data), load_release(RELEASE)
    async with running(["kafka", "retrieval", *(["llm"] if model_questions else [])]) as bench:
        submitted = retrieval.submitted(pool, untitled=False)
        documents = submitted if pooled else [submitted[number] for number in pool.mtrag]
        await retrieval.submit_all(bench.driver.retrieval, documents, console)
        by_rules = {one.id: by_rule(_conversation(one).last(release.conversation.turns)) for one in pool.dialogues}
        measured = await _measure(bench.driver.retrieval, pool, pool.dialogues, _ways(by_rules), console)
        sample = _sample(pool.dialogues, by_rules, model_questions)
        by_model = await _by_model(bench, release, sample, console) if sample else {}
        sample = [one for one in sample if one.id in by_model]
        of_model = await _measure(bench.driver.retrieval, pool, sample, _model_ways(by_rules, by_model), console)
    results = [*_shares(pool.dialogues, by_rules), *_quality(pool.dialogues, measured), *_of_model(by_model, of_model)]
    figures.report("eval-conversation-pooled" if pooled else "eval-conversation", results)


def _conversation(dialogue: Dialogue) -> Conversation:
    roles = (Role.USER, Role.ASSISTANT)
    said = [Turn(roles[number % 2], text[:8_000]) for number, text in enumerate(dialogue.turns[:-1])]
    return Conversation(tuple(said), dialogue.question)


def _ways(by_rules: Mapping[str, Condensation]) -> dict[str, Way]:
    def both(one: Dialogue) -> tuple[str, ...]:
        return _wordings(by_rules[one.id])

    return {
        "last turn": lambda one: (one.question,),
        "last three": lambda one: (one.last_three,),
        "last turn and last three": lambda one: tuple(dict.fromkeys((one.question, one.last_three))),
        "by rule": lambda one: (by_rules[one.id].standalone,),
        "by rule and last turn": both,
    }


def _model_ways(by_rules: Mapping[str, Condensation], by_model: Mapping[str, Condensation]) -> dict[str, Way]:
    return {
        "last turn": lambda one: (one.question,),
        "last three": lambda one: (one.last_three,),
        "by rule and last turn": lambda one: _wordings(by_rules[one.id]),
        "by model and last turn": lambda one: _wordings(by_model[one.id]),
    }


def _wordings(condensation: Condensation) -> tuple[str, ...]:
    """As the gateway searches."""
    return tuple(dict.fromkeys((condensation.standalone, condensation.original)))


def _sample(dialogues: Sequence[Dialogue], by_rules: Mapping[str, Condensation], count: int) -> list[Dialogue]:
    """Held-out questions that the rule changes: where it changes nothing, neither should a model."""
    changed = [one for one in dialogues if one.is_held_out and by_rules[one.id].method is not Method.UNCHANGED]
    return random.Random(0).sample(changed, min(count, len(changed)))


async def _by_model(
    bench: Bench, release: Release, dialogues: Sequence[Dialogue], console: Console
) -> dict[str, Condensation]:
    """What the local model makes of the questions, the rule where its text is not taken."""
    patient = replace(release.model, first_token_seconds=MODEL_SECONDS, total_seconds=MODEL_SECONDS)
    asking = replace(release, model=patient, conversation=replace(release.conversation, method="model"))
    route = RouteSettings((Leg(EndpointSettings("local", f"http://{bench.layout.address('llm')}/v1")),))
    offsets, clock = Encoder.load(bench.layout.encoder, threads=1).offsets, SystemClock()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client) for client in open_clients(route)]
        model = build_route(route, clients, offsets, release=asking, clock=clock)
        screen = Screen(ScreenPolicy(), None, clock.monotonic)
        condense = CondenseQuestion(model, release=asking, clock=clock, screen=screen)
        condensed: dict[str, Condensation] = {}
        until = clock.monotonic() + MODEL_BUDGET_SECONDS
        with Progress(console=console) as progress:
            for one in progress.track(dialogues, description="condense by the local model"):
                if clock.monotonic() > until:
                    break
                deadline = clock.monotonic() + MODEL_SECONDS
                conversation = _conversation(one)
                done = await condense(conversation, asking.application_id, asking.id, tenant="", deadline=deadline)
                condensed[one.id] = done.condensation
    return condensed


async def _measure(
    stub: RetrievalServiceStub, pool: Pool, dialogues: Sequence[Dialogue], ways: Mapping[str, Way], console: Console
) -> dict[str, list[float]]:
    """nDCG@10 of each dialogue, by way."""
    measured: dict[str, list[float]] = {name: [] for name in ways}
    with Progress(console=console) as progress:
        for name, way in ways.items():
            for one in progress.track(dialogues, description=name):
                text, *more = way(one)
                request = pb.SearchPassagesRequest(query=text, more_queries=more, page_size=retrieval.PASSAGES_A_SEARCH)
                ranking = retrieval.ranking_of(pool, await stub.SearchPassages(request, timeout=30))
                measured[name].append(figures.ndcg(ranking, one.relevant))
    return measured


def _shares(dialogues: Sequence[Dialogue], by_rules: Mapping[str, Condensation]) -> Iterator[Figure]:
    """What the rule does with questions that come after others."""
    later = [by_rules[one.id].method for one in dialogues if len(one.turns) > 1]
    counts = Counter(later)
    for method in (Method.UNCHANGED, Method.RULE, Method.JOINED):
        yield Figure(f"questions after others, {method.value}", counts[method] / len(later))


def _quality(dialogues: Sequence[Dialogue], measured: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    halves = {"chosen on": False, "held-out half": True}
    for half, held_out in halves.items():
        of = {
            name: [gain for one, gain in zip(dialogues, gains, strict=True) if one.is_held_out is held_out]
            for name, gains in measured.items()
        }
        for name, gains in of.items():
            yield figures.mean(f"{half}, {name}: nDCG@10", gains)
        for name in ("last turn and last three", "by rule", "by rule and last turn"):
            least = 0.0 if held_out and name.startswith("by rule") else None
            label = f"{half}, {name}: nDCG@10 beyond last three"
            yield figures.gain(label, of[name], of["last three"], f"{half}, last three: nDCG@10", least=least)


def _of_model(by_model: Mapping[str, Condensation], measured: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    if not by_model:
        yield Figure("by the local model: nDCG@10", None)
        return
    sample = f"{len(by_model)} held-out questions that the rule changes"
    taken = [condensation.method is Method.MODEL for condensation in by_model.values()]
    yield figures.share(f"{sample}: the local model's question is taken", taken)
    for name, gains in measured.items():
        yield figures.mean(f"{sample}, {name}: nDCG@10", gains)
    label, of = f"{sample}, by model beyond by rule: nDCG@10", f"{sample}, by rule and last turn: nDCG@10"
    yield figures.gain(label, measured["by model and last turn"], measured["by rule and last turn"], of)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pooled", action="store_true")
    parser.add_argument("--model-questions", type=int, default=MODEL_QUESTIONS)
    arguments = parser.parse_args()
    asyncio.run(main(pooled=arguments.pooled, model_questions=arguments.model_questions))
