"""What the check of sentences finds in public data, on the half on which no rule was chosen, and what it costs."""

import csv
import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plumbline_generation.domain.answer import ClaimStatus, Passage
from plumbline_generation.domain.citations import Checker, cite
from plumbline_generation.domain.guarding import OutputGuard, output_policy
from plumbline_generation.domain.settling import Grounding
from plumbline_generation.testing import a_passage
from plumbline_kit.release import GuardSettings, Unsupported
from plumbline_models.support import assess
from plumbline_models.text import Span, sentences
from tests.bench import figures
from tests.bench.settings import BenchSettings

MINIMUM: Final = 0.6
HALUEVAL: Final = ("qa_one-turn_data", "qa_multi-turn_data")
BEGIN: Final = ("begin_dev_cmu", "begin_dev_tc", "begin_dev_wow", "begin_test_wow")
LANGUAGES: Final = ("en", "de", "es")
UNDENIED: Final = {
    "en": (" is ", " was ", " are "),
    "de": (" ist ", " war ", " sind "),
    "es": (" es ", " fue ", " son "),
}
DENIED: Final = {"en": "{0}not ", "de": "{0}nicht ", "es": " no{0}"}
TOKENS_PER_SECOND: Final = 50
CHARACTERS_PER_TOKEN: Final = 4
ROUNDS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Reply:
    """A text, what it may rest on, and whether it does by its label."""

    text: str
    source: str
    grounded: bool


def main() -> None:
    """Run the benchmark; `PLUMBLINE_DATA` names the data."""
    data = BenchSettings.from_env().data
    rows = [*_labelled("halueval", _halueval(data)), *_labelled("begin", _begin(data))]
    for language in LANGUAGES:
        rows += _language(language, data / "xquad" / f"xquad.{language}.json")
    figures.report("eval-grounding", [*rows, *_cost(), *_first_release()])


def _held_out(source: str) -> bool:
    return hashlib.sha256(source.encode()).digest()[-1] % 2 == 1


def _halueval(data: Path) -> Iterator[Reply]:
    for name in HALUEVAL:
        for line in (data / "groundedness/halueval" / f"{name}.json").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            source = f"{row['knowledge']} {row['question']}"
            yield Reply(row["right_answer"], source, grounded=True)
            yield Reply(row["hallucinated_answer"], source, grounded=False)


def _begin(data: Path) -> Iterator[Reply]:
    for name in BEGIN:
        with (data / "groundedness/begin" / f"{name}.tsv").open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                grounded = row["begin_label"].lower().startswith("fully")
                yield Reply(row["response"] or "", row["knowledge"] or "", grounded)


def _labelled(name: str, replies: Iterator[Reply]) -> Iterator[figures.Figure]:
    """Whole replies as one sentence, as they are labelled."""
    held_out = [reply for reply in replies if _held_out(reply.source) and reply.text.strip()]
    for grounded, kind in ((True, "grounded_supported"), (False, "ungrounded_supported")):
        chosen = [reply for reply in held_out if reply.grounded is grounded]
        yield figures.share(f"{name}_{kind}", [_is_supported(one.text, _source(one.source)) for one in chosen])
        yield figures.share(f"{name}_{kind}_by_words_alone", [_has_words(one) for one in chosen])


def _has_words(reply: Reply) -> bool:
    found = assess(reply.text, reply.source)
    return found.score >= MINIMUM and not found.missing_names


def _source(text: str) -> Passage:
    return a_passage(text, title="")


def _is_supported(sentence: str, source: Passage) -> bool:
    return bool(_status(sentence, source) is ClaimStatus.ATTRIBUTED)


def _status(sentence: str, source: Passage) -> ClaimStatus:
    text = sentence.strip()
    return Checker([source], MINIMUM).check(text, Span(0, len(text)), ()).status


def _language(language: str, path: Path) -> Iterator[figures.Figure]:
    """Questions with their answers, as sentences, against their own passage and the next one of the same article."""
    own, other, denied = Counter[ClaimStatus](), Counter[ClaimStatus](), list[ClaimStatus]()
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        paragraphs = article["paragraphs"]
        for paragraph, neighbour in zip(paragraphs, [*paragraphs[1:], paragraphs[0]], strict=True):
            if not _held_out(paragraph["qas"][0]["id"]):
                continue
            source, next_one = _source(paragraph["context"]), _source(neighbour["context"])
            for each in paragraph["qas"]:
                claim = _as_sentence(each["question"], each["answers"][0]["text"])
                own[_status(claim, source)] += 1
                other[_status(claim, next_one)] += 1
            denied += [_status(claim, source) for claim in _denied(language, paragraph["context"])]
    yield from _statuses(f"{language}_own", own)
    yield from _statuses(f"{language}_other", other)
    yield figures.share(f"{language}_denied_supported", [one is ClaimStatus.ATTRIBUTED for one in denied])


def _as_sentence(question: str, answer: str) -> str:
    """In lower case at its seam, so that only names are capital."""
    begun = question.strip("\u00bf? ")
    return f"{begun[:1].upper()}{begun[1:]}, {answer}."


def _denied(language: str, text: str) -> Iterator[str]:
    """The passage's sentences with their first verb denied, where they deny nothing."""
    for span in sentences(text):
        sentence = span.of(text)
        verb = next((verb for verb in UNDENIED[language] if verb in sentence), None)
        if verb and not any(word in f" {sentence.lower()} " for word in (" not ", " no ", " nicht ", " kein")):
            yield sentence.replace(verb, DENIED[language].format(verb), 1)


def _statuses(name: str, counts: Counter[ClaimStatus]) -> Iterator[figures.Figure]:
    for status in (ClaimStatus.ATTRIBUTED, ClaimStatus.UNSUPPORTED, ClaimStatus.NOT_CHECKED):
        outcomes = [True] * counts[status] + [False] * (counts.total() - counts[status])
        yield figures.share(f"{name}_{status.value}", outcomes)


SENTENCE: Final = "The Aurora desk lamp costs 49 euros and weighs 1.2 kilograms."
DETAIL: Final = (
    "It is made of brushed steel, comes with a cable of two metres, and is sold with a warranty of two years. "
)


def _passages() -> list[Passage]:
    texts = [f"{SENTENCE} {DETAIL * 5}", *(f"The {name} lamp costs {name} euros. {DETAIL * 5}" for name in "ABC")]
    return [a_passage(text, f"Lamp {number}") for number, text in enumerate(texts)]


def _cost() -> Iterator[figures.Figure]:
    """Of one sentence against four passages of about 100 words, and where they were not seen before."""
    checker, passages, first, later = Checker(_passages(), MINIMUM), _passages(), list[float](), list[float]()
    for number in range(ROUNDS):
        began = time.perf_counter()
        cite(SENTENCE, checker)
        later.append(time.perf_counter() - began)
        fresh = [a_passage(f"{passage.text} {number}", passage.title) for passage in passages]
        began = time.perf_counter()
        cite(SENTENCE, Checker(fresh, MINIMUM))
        first.append(time.perf_counter() - began)
    yield figures.Figure("check_us_per_sentence", statistics.median(later) * 1e6)
    yield figures.Figure("check_us_sentence_over_new_passages", statistics.median(first) * 1e6)


def _first_release() -> Iterator[figures.Figure]:
    """After how many tokens, of four characters, the first text is released: what withholding costs."""
    text = f"{SENTENCE} {DETAIL}"
    for policy in (Unsupported.MARK, Unsupported.WITHHOLD):
        count = _tokens_until_the_first(text, policy)
        yield figures.Figure(f"{policy.value}_first_release_after_tokens", count)
        yield figures.Figure(
            f"{policy.value}_first_release_after_ms_at_{TOKENS_PER_SECOND}_tokens_per_s",
            count * 1e3 / TOKENS_PER_SECOND,
        )


def _tokens_until_the_first(text: str, policy: Unsupported) -> int:
    guard = OutputGuard(output_policy("redact"), time.monotonic)
    grounded = Grounding("What does it cost?", _passages(), GuardSettings(0.3, MINIMUM, policy), guard).begin()
    tokens = _tokens(text)
    return next(number for number, token in enumerate(tokens, start=1) if grounded.take(token))


def _tokens(text: str) -> Sequence[str]:
    return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]


if __name__ == "__main__":
    main()
