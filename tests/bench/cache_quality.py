"""How many repeated questions the cache answers, and how many of those wrongly: cosine alone and the whole decision.

The questions of one half of the public pairs are stored in the real embedded engine and their partners asked, as
`LookupAnswer` asks. With `--train` the weights of the decision are chosen anew on the other half.
"""

import argparse
import csv
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_cache.domain import sameness
from plumbline_cache.domain.entry import Entry, Scope, entry_id
from plumbline_cache.domain.normal import normal_form
from plumbline_cache.domain.sameness import Outcome, compare
from plumbline_cache.domain.sameness.certainty import WEIGHTS_FILE, measures
from plumbline_cache.domain.sameness.checks import checks
from plumbline_cache.domain.sameness.lexicon import NEGATIONS
from plumbline_cache.domain.sameness.reading import read
from plumbline_cache.handlers.lookup import NEIGHBOURS
from plumbline_kit.release import load_release
from plumbline_local.encoder import ensure_encoder
from plumbline_local.layout import Layout
from plumbline_models.encoder import Encoder
from plumbline_models.language import ENGLISH, languages
from tests.bench import figures
from tests.bench.altered import altered, negated, other_number
from tests.bench.cache_curve import Line, draw
from tests.bench.figures import Figure
from tests.bench.question_pairs import Pair, Pairs
from tests.bench.settings import BenchSettings
from tests.bench.swapped_roles import swapped

COSINES: Final = (0.6, 0.8, 0.9, 0.95, 0.98, 0.993)
CERTAINTIES: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
TRAINED_ON: Final = 3_500
"""Pairs, the first of the half to choose by: more change the weights in the second digit only."""
SHRINKAGE: Final = 3.0
NEWTON_STEPS: Final = 30
MOST_FALSE, LEAST_SERVED, MOST_FALSE_ON_SLICES = 0.03, 0.2, 0.02
DIFFERENT: Final = "DIFFERENT"
SCOPE: Final = Scope("bench", (), "default", "r1")
PICTURE: Final = Path("docs/cache-quality.svg")
JUDGED: Final = Path(__file__).with_name("adjudicated_questions.csv")
RELEASE: Final = Path("deploy/local/release.toml")
SERVED: Final = figures.OUT / "cache-quality-served.csv"
DECISION_ROUNDS: Final = 300

Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question that is not stored word by word."""

    pair: Pair
    cosine: float
    nearest_is_right: bool
    certainty: float
    """Of the surest neighbour; 0 where every one differs."""
    surest: int
    """The line of the pair that it is the first question of."""
    surest_is_right: bool


def main(*, train: bool) -> None:
    """`PLUMBLINE_DATA` names the data."""
    pairs, console = Pairs(BenchSettings.from_env().data), Console(stderr=True)
    encoder = Encoder.load(ensure_encoder(Layout.local()))
    if train:
        chosen = pairs.half(held_out=False)[:TRAINED_ON]
        _write(_fitted(chosen, vectors_of(chosen, encoder, console)))
        return
    stored, held_out = pairs.half(held_out=True), pairs.unseen()
    vectors = vectors_of(stored, encoder, console)
    release = load_release(RELEASE).cache
    asked = ask(pairs, stored, held_out, vectors, release.semantic_threshold)
    _keep_served(asked, release.semantic_certainty)
    told = [*_pairs(held_out, vectors, release.semantic_certainty), *_plain(asked)]
    told += _decided(asked, release.semantic_certainty)
    told += _slices(held_out, vectors, encoder, release.semantic_certainty)
    told += _cost(asked, held_out)
    PICTURE.write_text(_picture(asked), encoding="utf-8")
    figures.report("eval-cache", told)


def vectors_of(pairs: Sequence[Pair], encoder: Encoder, console: Console) -> Vectors:
    """Of all questions of *pairs*. Those that were encoded before are read from `out/`."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    kept = figures.OUT / f"questions-{encoder.id.partition('@')[2]}.npz"
    known: Vectors = {}
    if kept.exists():
        with np.load(kept) as content:
            known = dict(zip(content["texts"].tolist(), content["vectors"], strict=True))
    missing = [text for text in texts if text not in known]
    if missing:
        console.print(f"encoding {len(missing):,} questions")
        known |= dict(zip(missing, encoder.encode(missing), strict=True))
        figures.OUT.mkdir(exist_ok=True)
        np.savez(kept, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
    return {text: known[text] for text in texts}


def ask(pairs: Pairs, half: Sequence[Pair], unseen: Sequence[Pair], vectors: Vectors, least: float) -> list[Asked]:
    """Store the first question of every pair of *half*, ask the second of each *unseen*, unless it is stored itself."""
    stored = {entry_id(SCOPE, pair.first): pair for pair in half}
    with tempfile.TemporaryDirectory(prefix="plumbline-quality-") as folder:
        store = QdrantStore.open(Path(folder) / "shard", len(vectors[half[0].first]))
        for key, pair in stored.items():
            store.put(_entry(key, pair), vectors[pair.first])
        new = [pair for pair in unseen if entry_id(SCOPE, pair.second) not in stored]
        asked = [_asked(store, pairs, pair, vectors[pair.second], least) for pair in new]
        store.close()
    return asked


def _asked(store: QdrantStore, pairs: Pairs, pair: Pair, vector: NDArray[np.float32], least: float) -> Asked:
    near = store.nearest(SCOPE, vector, least=-1.0, limit=NEIGHBOURS)
    right = [pairs.ask_the_same(pair.second, one.entry.question) for one in near]
    sure = [
        compare(one.entry.question, pair.second, one.similarity).certainty if one.similarity >= least else 0.0
        for one in near
    ]
    surest = int(np.argmax(sure))
    line = int(near[surest].entry.answer_id)
    return Asked(pair, near[0].similarity, right[0], sure[surest], line, right[surest])


def _entry(key: str, pair: Pair) -> Entry:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    later = now + timedelta(days=7)
    return Entry(key, SCOPE, normal_form(pair.first) and pair.first, b"", str(pair.line), (), now, now, "", later)


def _keep_served(asked: Sequence[Asked], least: float) -> None:
    """The lines of what is served though the labels do not say that it asks the same: what a person should judge."""
    figures.OUT.mkdir(exist_ok=True)
    with SERVED.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("stored_line", "asked_line"))
        rows.writerows((one.surest, one.pair.line) for one in _doubtful(asked, least))


def _doubtful(asked: Sequence[Asked], least: float) -> list[Asked]:
    return [one for one in asked if one.certainty >= least and not one.surest_is_right]


def _pairs(half: Sequence[Pair], vectors: Vectors, least: float) -> Iterator[Figure]:
    """The pairs themselves, without a store."""
    rest = [pair for pair in half if normal_form(pair.first) != normal_form(pair.second)]
    same = [(pair.duplicate, _compared(pair.first, pair.second, vectors) >= least) for pair in rest]
    yield figures.share("pairs: duplicates told", [told for duplicate, told in same if duplicate])
    yield figures.share("pairs: labelled different, of those told", [not duplicate for duplicate, told in same if told])


def _compared(one: str, other: str, vectors: Vectors) -> float:
    return compare(one, other, float(vectors[one] @ vectors[other])).certainty


def _plain(asked: Sequence[Asked]) -> Iterator[Figure]:
    for least in COSINES:
        yield from _at(
            f"cosine {least:g}", [(one, one.nearest_is_right) for one in asked if one.cosine >= least], asked
        )


def _decided(asked: Sequence[Asked], point: float) -> Iterator[Figure]:
    for least in CERTAINTIES:
        served = [(one, one.surest_is_right) for one in asked if one.certainty >= least]
        yield from _at(f"certainty {least:g}", served, asked)
        if least > point:
            yield from _adjudicated(f"certainty {least:g}", [one for one, _ in served], least)
    served = [(one, one.surest_is_right) for one in asked if one.certainty >= point]
    share = figures.share("decision: duplicates served", _reached(served, asked))
    yield Figure(
        share.name,
        share.value,
        share.low,
        share.high,
        goal=f">= {LEAST_SERVED}",
        met=(share.value or 0) >= LEAST_SERVED,
    )
    yield from _adjudicated("decision", [one for one, _ in served], point, goal=True)


def _at(name: str, served: Sequence[tuple[Asked, bool]], asked: Sequence[Asked]) -> Iterator[Figure]:
    yield figures.share(f"{name}: duplicates served", _reached(served, asked))
    yield figures.share(f"{name}: false of served, by label", [not right for _, right in served])


def _reached(served: Sequence[tuple[Asked, bool]], asked: Sequence[Asked]) -> list[bool]:
    reached = {one.pair.line for one, right in served if right}
    return [one.pair.line in reached for one in asked if one.pair.duplicate]


def _adjudicated(name: str, served: Sequence[Asked], least: float, *, goal: bool = False) -> Iterator[Figure]:
    """False of served where people read what the labels do not vouch for: by each one's word, and where all say so."""
    judged = judgements()
    doubtful = _doubtful(served, least)
    verdicts = [judged[key] for one in doubtful if (key := (one.surest, one.pair.line)) in judged]
    yield Figure(f"{name}: doubtful by label, judged", len(verdicts) / max(1, len(doubtful)))
    if len(verdicts) < len(doubtful):
        return
    rest = [False] * (len(served) - len(doubtful))
    for who, wrong in (("any judge", any), ("every judge", all)):
        share = figures.share(
            f"{name}: false of served, by {who}",
            [wrong(told == DIFFERENT for told in each) for each in verdicts] + rest,
        )
        met = (share.value or 0.0) <= MOST_FALSE
        yield replace(share, goal=f"<= {MOST_FALSE}", met=met) if goal else share


@lru_cache(maxsize=1)
def judgements() -> dict[tuple[int, int], list[str]]:
    """What judges said, by the lines of the stored and of the asked question: "SAME" or "DIFFERENT"."""
    judged: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    with JUDGED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            judged[int(row["stored_line"]), int(row["asked_line"])].append(row["verdict"])
    return judged


def _slices(half: Sequence[Pair], vectors: Vectors, encoder: Encoder, least: float) -> Iterator[Figure]:
    """Wrong hits among pairs that are labelled different and differ in one thing only."""
    for name, differ in (("numbers", _in_a_number), ("negations", _in_a_negation), ("one word", _in_a_word)):
        found = [pair for pair in half if not pair.duplicate and differ(_words(pair.first), _words(pair.second))]
        hits = [_compared(pair.first, pair.second, vectors) >= least for pair in found]
        name = f"slice, {name} ({len(found)} pairs)"
        yield figures.share(f"{name}: hits labelled different", hits)
        yield _slice(name, [hit and not _is_read_as_same(pair) for pair, hit in zip(found, hits, strict=True)])
    questions = [pair.second for pair in half]
    for name, made in (
        ("reversed roles", swapped(unseen=False)),
        ("reversed roles, other relations", swapped(unseen=True)),
        ("another number, made", altered(questions, other_number)),
        ("negated, made", altered(questions, negated)),
    ):
        known = dict(zip((texts := list({text for pair in made for text in pair})), encoder.encode(texts), strict=True))
        yield _slice(f"slice, {name} ({len(made)} pairs)", [_compared(*pair, known) >= least for pair in made])


def _is_read_as_same(pair: Pair) -> bool:
    """Whether all who read it say so; False where nobody did."""
    verdicts = judgements().get((pair.line, pair.line), [])
    return bool(verdicts) and DIFFERENT not in verdicts


def _slice(name: str, hits: Sequence[bool]) -> Figure:
    share = figures.share(f"{name}: wrong hits", hits)
    met = (share.value or 0.0) <= MOST_FALSE_ON_SLICES
    return Figure(share.name, share.value, share.low, share.high, goal=f"<= {MOST_FALSE_ON_SLICES}", met=met)


def _words(question: str) -> list[str]:
    return re.findall(r"\d[\d.,]*|\w+(?:'\w+)?", question.casefold())


def _in_a_number(one: list[str], other: list[str]) -> bool:
    different = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    return len(one) == len(other) and bool(different) and all(word[0].isdigit() for pair in different for word in pair)


def _in_a_negation(one: list[str], other: list[str]) -> bool:
    denied = [sum(word in NEGATIONS or word.endswith("n't") for word in words) for words in (one, other)]
    plain = [[word.removesuffix("n't") for word in words if word not in NEGATIONS] for words in (one, other)]
    return denied[0] != denied[1] and plain[0] == plain[1]


def _in_a_word(one: list[str], other: list[str]) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _cost(asked: Sequence[Asked], half: Sequence[Pair]) -> Iterator[Figure]:
    """Of one decision over eight neighbours, in milliseconds of this process' own time."""
    texts, spent = (
        [pair.first for pair in half[: DECISION_ROUNDS * NEIGHBOURS]],
        {"cold": list[float](), "warm": list[float]()},
    )
    for at in range(DECISION_ROUNDS):
        near = texts[at * NEIGHBOURS : (at + 1) * NEIGHBOURS]
        if at % 100 == 0:
            read.cache_clear()
        for kind in ("cold", "warm"):
            began = time.process_time()
            for one in near:
                compare(one, asked[at].pair.second, 0.9)
            spent[kind].append(time.process_time() - began)
    yield Figure(
        "decision_over_8_cold_p50_ms",
        float(np.median(spent["cold"])) * 1e3,
        goal="<= 3",
        met=bool(np.median(spent["cold"]) <= 0.003),
    )
    yield Figure(
        "decision_over_8_warm_p50_ms",
        float(np.median(spent["warm"])) * 1e3,
        goal="<= 1",
        met=bool(np.median(spent["warm"]) <= 0.001),
    )


def _picture(asked: Sequence[Asked]) -> str:
    plain = Line("cosine alone", _curve([(one.cosine, one, one.nearest_is_right) for one in asked]))
    decision = [(one.certainty, one, one.surest_is_right) for one in asked if one.certainty > 0]
    return draw([plain, Line("the whole decision", _curve(decision))])


def _curve(scored: Sequence[tuple[float, Asked, bool]]) -> list[tuple[float, float]]:
    """Shares of duplicates served and of false hits by label, from the surest on."""
    duplicates = len({one.pair.line for _, one, _ in scored if one.pair.duplicate}) or 1
    ordered = sorted(scored, key=lambda each: -each[0])
    right = np.cumsum([good for _, _, good in ordered])
    reached = np.cumsum([good and one.pair.duplicate for _, one, good in ordered])
    served = np.arange(1, len(ordered) + 1)
    at = range(99, len(ordered), max(1, len(ordered) // 200))
    return [(float(reached[i]) / duplicates, 1 - float(right[i] / served[i])) for i in at]


def _fitted(pairs: Sequence[Pair], vectors: Vectors) -> dict[str, float]:
    """Logistic regression by Newton's method over the pairs that no check tells apart."""
    rows, outcomes = [], []
    for pair in pairs:
        one, other = read(pair.first), read(pair.second)
        known = all(ENGLISH in languages(text) for text in (pair.first, pair.second))
        told = any(check.outcome is Outcome.DIFFERS for check in checks(one, other))
        if known and not told and normal_form(pair.first) != normal_form(pair.second):
            rows.append(measures(one, other, float(vectors[pair.first] @ vectors[pair.second])))
            outcomes.append(pair.duplicate)
    values, likely_true = np.array([list(row.values()) for row in rows]), np.array(outcomes, float)
    mean, spread = values.mean(0), values.std(0)
    inputs = np.column_stack([np.ones(len(rows)), (values - mean) / spread])
    shrinkage = np.diag([0.0] + [SHRINKAGE] * values.shape[1])
    chosen: NDArray[np.float64] = np.zeros(inputs.shape[1])
    for _ in range(NEWTON_STEPS):
        likely = 1 / (1 + np.exp(-inputs @ chosen))
        slope = inputs.T @ (likely_true - likely) - shrinkage @ chosen
        bend = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + shrinkage
        chosen = chosen + np.linalg.solve(bend, slope)
    weights = chosen[1:] / spread
    return {"bias": float(chosen[0] - weights @ mean), **dict(zip(rows[0], weights.tolist(), strict=True))}


def _write(weights: dict[str, float]) -> None:
    path = Path(sameness.__file__).with_name(WEIGHTS_FILE)
    rounded = {name: round(weight, 4) for name, weight in weights.items()}
    path.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="choose the weights anew and write them")
    main(train=parser.parse_args().train)
