"""What the parts of a prompt cost and bring with the local model: kept work by prefix, the order of passages."""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray

from plumbline_generation.domain.answer import Passage, PassageRef
from plumbline_generation.domain.prompt import Prompt, PromptWriter
from plumbline_kit.release import Release, load_release
from plumbline_local import llm
from plumbline_local.layout import Layout, free_ports
from plumbline_models.encoder import Encoder
from plumbline_models.text import content_words
from tests.bench import figures
from tests.bench.pooled import is_held_out
from tests.bench.settings import BenchSettings

ROUNDS: Final = 10
QUESTIONS: Final = 100
CONTEXT_TOKENS: Final = 640
"""Four or five paragraphs; the local server has 1,024 a request."""
FOUND: Final = 5
SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of xquad, its answer, and the number of its paragraph."""

    text: str
    answer: str
    paragraph: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, how long the whole took, and how much of the prompt it had at hand."""

    text: str
    seconds: float
    prompt_tokens: int
    cached_tokens: int


@dataclass(frozen=True)
class Bench:
    """The model, the paragraphs as passages, and the questions of one half."""

    client: httpx.Client
    encoder: Encoder
    release: Release
    passages: Sequence[Passage]
    vectors: NDArray[np.float32]
    questions: Sequence[Asked]

    def writer(self, order: str = "best_first") -> PromptWriter:
        """Writes prompts of several paragraphs."""
        model = replace(self.release.model, context_tokens=CONTEXT_TOKENS, passage_order=order)
        return PromptWriter(replace(self.release, model=model), self.encoder.offsets)

    def found(self, question: str) -> list[Passage]:
        """The paragraphs that fit best, by their vectors."""
        scores = self.vectors @ self.encoder.encode([question])[0]
        return [self.passages[number] for number in np.argsort(-scores)[:FOUND]]

    def ask(self, prompt: Prompt, most: int) -> Reply:
        """At temperature 0, at most so many tokens."""
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        model = self.release.model
        body = {"messages": messages, "temperature": 0, "seed": model.seed, "max_tokens": most, "stop": model.stop}
        began = time.perf_counter()
        reply = self.client.post("chat/completions", json=body).raise_for_status().json()
        seconds, usage = time.perf_counter() - began, reply["usage"]
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        return Reply(reply["choices"][0]["message"]["content"], seconds, usage["prompt_tokens"], cached)


def main() -> None:
    """Run the benchmark; `PLUMBLINE_DATA` names the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choosing", action="store_true", help="on the half that settings are chosen by")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="prompts whose kept prefix is looked at")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="asked in both orders of passages")
    told = parser.parse_args()
    with _bench(BenchSettings.from_env().data, held_out=not told.choosing) as bench:
        rows = [*_prefix(bench, told.rounds), *_order(bench, bench.questions[: told.questions])]
    figures.report("bench-prompts-choosing" if told.choosing else "bench-prompts", rows)


@contextmanager
def _bench(data: Path, *, held_out: bool) -> Iterator[Bench]:
    layout = Layout.local()
    passages, questions = _xquad(data)
    drawn = [asked for asked in questions if is_held_out(asked.text) == held_out]
    random.Random(0).shuffle(drawn)
    encoder = Encoder.load(layout.encoder)
    port = free_ports("llm")["llm"]
    server = llm.serve(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", timeout=SECONDS, trust_env=False) as client:
        vectors = encoder.encode([f"{passage.title}\n{passage.text}" for passage in passages])
        yield Bench(client, encoder, load_release(layout.release_file), passages, vectors, drawn)
    del server


def _xquad(data: Path) -> tuple[list[Passage], list[Asked]]:
    passages: list[Passage] = []
    questions: list[Asked] = []
    content: Any = json.loads((data / "xquad/xquad.en.json").read_text(encoding="utf-8"))
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            number, text = len(passages), paragraph["context"]
            title = article["title"].replace("_", " ")
            passages.append(Passage(PassageRef(f"x{number}", 1, f"x{number}"), title, "", text, 0, len(text), 1.0))
            questions += [Asked(qa["question"], qa["answers"][0]["text"], number) for qa in paragraph["qas"]]
    return passages, questions


def _prefix(bench: Bench, rounds: int) -> Iterator[figures.Figure]:
    """Time to the first token: a prompt that is new but for its instructions, again, with another question."""
    writer = bench.writer()
    replies: dict[str, list[Reply]] = {name: [] for name in ("other_passages", "same_prompt", "other_question")}
    for one, other in zip(bench.questions[:rounds], bench.questions[rounds:], strict=False):
        packed = writer.pack(bench.found(one.text))
        prompt = writer.write(one.text, packed)
        replies["other_passages"].append(bench.ask(prompt, 1))
        replies["same_prompt"].append(bench.ask(prompt, 1))
        replies["other_question"].append(bench.ask(writer.write(other.text, packed), 1))
    new = [reply.seconds for reply in replies["other_passages"]]
    for name, kept in replies.items():
        yield figures.mean(f"{name}_cached_share", [reply.cached_tokens / reply.prompt_tokens for reply in kept])
        yield figures.Figure(f"{name}_prompt_tokens", float(np.median([reply.prompt_tokens for reply in kept])))
        seconds = [reply.seconds for reply in kept]
        yield figures.timings(f"{name}_first_token", seconds, new, "other_passages_first_token")[0]


def _order(bench: Bench, questions: Sequence[Asked]) -> Iterator[figures.Figure]:
    """Whether the best at the ends helps: the share of the answers that hold the words of the right one, in pairs."""
    right: dict[str, list[float]] = {"best_first": [], "best_at_ends": []}
    for asked in questions:
        for order, outcomes in right.items():
            writer = bench.writer(order)
            prompt = writer.write(asked.text, writer.pack(bench.found(asked.text)))
            outcomes.append(float(_holds(bench.ask(prompt, bench.release.model.max_tokens).text, asked.answer)))
    for order, outcomes in right.items():
        yield figures.share(f"{order}_right_of_{len(outcomes)}", [outcome == 1 for outcome in outcomes])
    gains = [after - before for before, after in zip(*right.values(), strict=True)]
    yield figures.mean("best_at_ends_gain", gains) if any(gains) else figures.Figure("best_at_ends_gain", 0.0)


def _holds(text: str, answer: str) -> bool:
    wanted = " ".join(content_words(answer))
    return f" {wanted} " in f" {' '.join(content_words(text))} " if wanted else answer.casefold() in text.casefold()


if __name__ == "__main__":
    main()
