"""How much of public synthetic personal data and of public attacks the guards find, and what looking costs."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plumbline_guards.findings import Finding, Kind
from plumbline_guards.links import is_harmful, leads_elsewhere
from plumbline_guards.scanner import scan
from plumbline_guards.testing import CANARY, HOSTS, cuts, secrets
from plumbline_guards.topics import Topics
from plumbline_guards.window import Action, Policy, Window
from tests.bench import figures, injection
from tests.bench.settings import BenchSettings

SETS: Final = {"synth_dataset_v2": "synth", "generated_large": "large"}
KINDS: Final = {
    "CREDIT_CARD": Kind.CARD,
    "IBAN_CODE": Kind.IBAN,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
    "US_SSN": Kind.SSN,
    "IP_ADDRESS": Kind.IP_ADDRESS,
}
RECALL, PRECISION = 0.95, 0.9
TOKENS_PER_SECOND = 50
REPEATS = 100
CHARACTERS_PER_TOKEN = 4
PROSE = "The Aurora desk lamp costs 49 euros, and it weighs 1.2 kilograms. Ask support for more about the order. "
HOSTILE = {"digits": "1", "spaced_digits": "1 ", "base64": "QUJDabc+/", "base64_lines": "QUJDabc0" * 250 + " "}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the spans that were labelled in it."""

    text: str
    labels: tuple[Finding, ...]


def main() -> None:
    """Run the benchmark; `PLUMBLINE_DATA` names the data."""
    data = BenchSettings.from_env().data
    folder = data / "guardrails/presidio"
    rows = [row for name, short in SETS.items() for row in _quality(short, list(_held_out(folder / f"{name}.json")))]
    figures.report("eval-guards", [*rows, *_splits(), *_cost(), *injection.rows(data)])


def _held_out(path: Path) -> Iterator[Sentence]:
    """The half on which no pattern was chosen."""
    for row in json.loads(path.read_text(encoding="utf-8")):
        if hashlib.sha256(row["full_text"].encode()).digest()[0] % 2:
            yield Sentence(row["full_text"], tuple(_labels(row["spans"])))


def _labels(spans: list[dict[str, Any]]) -> Iterator[Finding]:
    for span in spans:
        if kind := KINDS.get(span["entity_type"]):
            yield Finding(kind, span["start_position"], span["end_position"])


def _quality(short: str, sentences: list[Sentence]) -> Iterator[figures.Figure]:
    """A label is found if a finding of its kind covers it whole; a finding is right if it touches such a label."""
    pairs = [(sentence.labels, scan(sentence.text)) for sentence in sentences]
    for kind in KINDS.values():
        recalled = [
            any(one.kind is kind and one.start <= label.start and label.end <= one.end for one in found)
            for labels, found in pairs
            for label in labels
            if label.kind is kind
        ]
        right = [
            any(label.kind is kind and label.start < one.end and one.start < label.end for label in labels)
            for labels, found in pairs
            for one in found
            if one.kind is kind
        ]
        yield figures.share(f"{short}_{kind.value}_recall_of_{len(recalled)}", recalled, known=RECALL)
        yield figures.share(f"{short}_{kind.value}_precision_of_{len(right)}", right, known=PRECISION)


def _splits() -> Iterator[figures.Figure]:
    """Texts with a secret, cut at every place into two pieces and at many into three to five."""
    caught = [
        "".join(map(window.take, pieces)) + window.finish() == safe
        for text, safe in secrets()
        for pieces in cuts(text)
        for window in [_window()]
    ]
    yield figures.share(f"split_secrets_caught_of_{len(caught)}", caught, known=1.0)


def _cost() -> Iterator[figures.Figure]:
    text = PROSE * (200_000 // len(PROSE))
    yield figures.Figure("prose_us_per_kb", _seconds(text) * 1e6 / (len(text) / 1024))
    held = _held_back(PROSE * 4)
    yield figures.mean("held_back_characters", held)
    yield figures.Figure("held_back_most_characters", max(held))
    later = _tokens_until_the_first(PROSE)
    yield figures.Figure("tokens_until_the_first_release", later)
    yield figures.Figure("first_release_later_by_ms_at_50_tokens_per_s", (later - 1) * 1e3 / TOKENS_PER_SECOND)
    yield figures.mean("first_release_cpu_ms", [_ms_until_the_first(PROSE) for _ in range(REPEATS)])
    yield figures.mean("whole_answer_cpu_ms", [_ms_of_all(PROSE * 4) for _ in range(REPEATS)])
    for name, unit in HOSTILE.items():
        yield figures.Figure(f"hostile_megabyte_{name}_s", _seconds((unit * (1_000_000 // len(unit) + 1))[:1_000_000]))


def _seconds(text: str) -> float:
    began = time.process_time()
    scan(text)
    return time.process_time() - began


def _tokens(text: str) -> list[str]:
    return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]


def _held_back(text: str) -> list[float]:
    """Characters that were taken and not yet released, after each token."""
    window, taken, out, held = _window(), 0, 0, list[float]()
    for token in _tokens(text):
        taken, out = taken + len(token), out + len(window.take(token))
        held.append(float(taken - out))
    return held


def _tokens_until_the_first(text: str) -> int:
    """How many tokens are taken until something is released; without guards it is one."""
    window = _window()
    return next(number for number, token in enumerate(_tokens(text), start=1) if window.take(token))


def _ms_until_the_first(text: str) -> float:
    """Of the processor, from the window's opening to the first text that it releases."""
    began, window = time.process_time(), _window()
    next(token for token in _tokens(text) if window.take(token))
    return (time.process_time() - began) * 1e3


def _ms_of_all(text: str) -> float:
    began, window = time.process_time(), _window()
    for token in _tokens(text):
        window.take(token)
    window.finish()
    return (time.process_time() - began) * 1e3


def _window() -> Window:
    """With everything on."""
    policy = Policy(dict.fromkeys(Kind, Action.REDACT), canary=CANARY, topics=Topics(["betting odds", "casino"]))
    return Window(policy, time.monotonic, is_unsafe=lambda link: is_harmful(link) or leads_elsewhere(link, HOSTS))


if __name__ == "__main__":
    main()
