"""How often the comparison of audits is wrong, on answers whose relation is known, and what that does to the switch.

Pairs are made by rule from public answers, half of them held out: the same answer twice in other words (two people's
answers to one question; the answer alone, in its sentence, and with the next sentence), and different ones (of the
nearest other question, of another question about the same paragraph, with another number, with another name).
"""

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from plumbline_cache.domain.audit import Audit, Level, Outcome, Window, rule
from plumbline_cache.domain.comparison import Told, compare
from plumbline_cache.domain.lookup import Tier
from plumbline_models.evidence import Source
from plumbline_models.text import content_words, sentences
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.settings import BenchSettings

LANGUAGES: Final = ("en", "de", "es")
DISTRACTORS: Final = 3
"""Other passages that a search finds beside the right one."""
NAME: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")
MOST_FALSE_ALARMS: Final = 0.02
MOST_OVERLOOKED: Final = 0.05
TARGET: Final = 0.03
RATES: Final = (0.0, 0.01, 0.03, 0.06, 0.12)
AUDITS: Final = 2_000
RUNS: Final = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """A cached and a fresh answer, and whether the cached one is right for the question."""

    kind: str
    same: bool
    key: str
    cached: Told
    fresh: Told


def main() -> None:
    """Run the benchmark; `PLUMBLINE_DATA` names the data."""
    data = BenchSettings.from_env().data
    pairs = list(_people(data / "clapnq/annotated_data/dev/clapnq_dev_answerable.jsonl"))
    for language in LANGUAGES:
        pairs += _paragraphs(data / f"xquad/xquad.{language}.json", language)
    held_out = [pair for pair in pairs if _is_held_out(pair.key)]
    seconds: list[float] = []
    outcomes = [(pair, _timed(pair, seconds)) for pair in held_out]
    rows = [row for kind in dict.fromkeys(pair.kind for pair in held_out) for row in _rates(kind, outcomes)]
    figures.report("eval-audits", [*rows, *_overall(outcomes), *figures.timings("comparison", seconds), *_switching()])


def _is_held_out(key: str) -> bool:
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 1


def _timed(pair: Pair, seconds: list[float]) -> Outcome:
    began = time.perf_counter()
    outcome = compare(pair.cached, pair.fresh).outcome
    seconds.append(time.perf_counter() - began)
    return outcome


def _rates(kind: str, outcomes: Sequence[tuple[Pair, Outcome]]) -> Iterator[Figure]:
    chosen = [(pair, outcome) for pair, outcome in outcomes if pair.kind == kind]
    wrong = Outcome.DIFFERENT if chosen[0][0].same else Outcome.SAME
    yield figures.share(f"{kind}_called_{wrong.value}", [outcome is wrong for _, outcome in chosen])
    yield figures.share(f"{kind}_undecided", [outcome is Outcome.UNDECIDED for _, outcome in chosen])


def _overall(outcomes: Sequence[tuple[Pair, Outcome]]) -> Iterator[Figure]:
    """English only: what is measured elsewhere stands by kind."""
    english = [(pair, outcome) for pair, outcome in outcomes if not pair.kind.endswith(LANGUAGES[1:])]
    alarms = [outcome is not Outcome.SAME for pair, outcome in english if pair.same]
    overlooked = [outcome is Outcome.SAME for pair, outcome in english if not pair.same]
    yield _at_most(figures.share("right_hits_not_called_same", alarms), MOST_FALSE_ALARMS)
    yield _at_most(figures.share("wrong_hits_called_same", overlooked), MOST_OVERLOOKED)


def _at_most(figure: Figure, goal: float) -> Figure:
    met = figure.value is not None and figure.value <= goal
    return Figure(figure.name, figure.value, figure.low, figure.high, goal=f"<= {goal}", met=met)


def _people(path: Path) -> Iterator[Pair]:
    """Answers that people wrote, to the same question and to the one with the most words in common."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    words = [frozenset(content_words(row["input"])) for row in rows]
    passages = [Source(row["passages"][0]["title"], row["passages"][0]["text"]) for row in rows]
    for number, row in enumerate(rows):
        answers = [one["answer"] for one in row["output"] if one["answer"].strip(" NA")]
        others = sorted(set(range(len(rows))) - {number}, key=lambda other: -_alike(words[number], words[other]))
        found = (passages[number], *(passages[other] for other in others[:DISTRACTORS]))
        if len(answers) > 1:
            yield Pair("two_people", True, row["id"], _told(answers[0], found), _told(answers[1], found))
        near = rows[others[0]]["output"][0]["answer"]
        if answers and near.strip(" NA"):
            cached = _told(near, (passages[others[0]],))
            yield Pair("near_question", False, row["id"], cached, _told(answers[0], found))


def _alike(words: frozenset[str], others: frozenset[str]) -> float:
    return len(words & others) / max(1, len(words | others))


def _paragraphs(path: Path, language: str) -> Iterator[Pair]:
    draw = random.Random(7)
    paragraphs = [
        one for article in json.loads(path.read_text(encoding="utf-8"))["data"] for one in article["paragraphs"]
    ]
    names = NAME.findall(" ".join(one["context"] for one in paragraphs))
    suffix = "" if language == LANGUAGES[0] else f"_{language}"
    for number, paragraph in enumerate(paragraphs):
        others = tuple(Source("", paragraphs[(number + step) % len(paragraphs)]["context"]) for step in (20, 40, 60))
        found = (Source("", paragraph["context"]), *others)
        for kind, same, cached, fresh in _of_paragraph(paragraph, lambda: draw.choice(names)):
            sources = tuple(Source("", _put(source.text, cached)) for source in found)
            told = _told(cached[-1], sources)
            yield Pair(f"{kind}{suffix}", same, f"paragraph {number}", told, _told(fresh, found))


Cached = tuple[str, ...]
"""The cached answer; before it, where its passage was another then, the sentence in whose place it stood."""


def _put(text: str, cached: Cached) -> str:
    return text.replace(cached[0], cached[-1])


def _of_paragraph(paragraph: Mapping[str, Any], a_name: Callable[[], str]) -> Iterator[tuple[str, bool, Cached, str]]:
    text = paragraph["context"]
    spans = sentences(text)
    asked = [(answer, place) for qa in paragraph["qas"] if (place := _place(spans, text, qa)) and (answer := _span(qa))]
    for (answer, place), (other, next_place) in zip(asked, asked[1:] + asked[:1], strict=True):
        sentence, its = (spans[index - 1].of(text) for index in (place, next_place))
        yield "alone_and_in_its_sentence", True, (sentence,), answer
        if place < len(spans):
            yield "with_the_next_sentence", True, (sentence,), f"{sentence} {spans[place].of(text)}"
        if place != next_place and other not in sentence and answer not in its:
            yield "another_sentence", False, (sentence,), its
            yield "another_answer", False, (answer,), other
        if answer.isdigit():
            yield "another_number", False, (sentence, sentence.replace(answer, str(int(answer) + 1))), sentence
        if (name := NAME.search(sentence)) and (another := a_name()) not in text:
            yield "another_name", False, (sentence, sentence.replace(name.group(), another)), sentence


def _span(qa: Mapping[str, Any]) -> str:
    return str(qa["answers"][0]["text"])


def _place(spans: Sequence[Any], text: str, qa: Mapping[str, Any]) -> int:
    """The 1-based number of the sentence that holds the answer; 0 where it crosses sentences."""
    start = qa["answers"][0]["answer_start"]
    end = start + len(_span(qa))
    return next((number for number, span in enumerate(spans, 1) if span.start <= start and end <= span.end), 0)


def _told(text: str, sources: tuple[Source, ...]) -> Told:
    return Told(text, False, sources)


def _switching() -> Iterator[Figure]:
    """For how many of the audits the tier was off, by how many of the hits are wrong: no data, the switch alone."""
    for rate in RATES:
        off = [is_off for seed in range(RUNS) for is_off in _run(rate, random.Random(seed))]
        yield Figure(f"off_with_{rate:.0%}_wrong".replace("%", "_percent"), sum(off) / len(off))


def _run(rate: float, draw: random.Random) -> Iterator[bool]:
    window, begin = Window(), datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(AUDITS):
        outcome = Outcome.DIFFERENT if draw.random() < rate else Outcome.SAME
        time_ = begin + timedelta(minutes=number)
        window.add(Audit(time_, str(number), "scope", "tenant", Tier.SEMANTIC, "entry", 0.97, outcome))
        yield rule([(Level.SCOPE, window.hits(time_))], TARGET).off


if __name__ == "__main__":
    main()
