"""The release's minimums of relevance, on question and answer pairs that they were not chosen on."""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from plumbline_evaluation.domain.measures import Minimums
from plumbline_models.encoder import Encoder
from plumbline_models.text import sentences

PAIRS = 120
Pair = tuple[str, str, str]  # question, answer, passage


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("PLUMBLINE_DATA", "../shared/data"))  # noqa: TID251  # a test's own setting
    if not (folder / "xquad").is_dir():
        pytest.skip("not run: no data folder")
    return folder


def xquad(folder: Path) -> Iterator[Pair]:
    """One question a paragraph; its answer is the sentence that holds the marked span."""
    for article in json.loads((folder / "xquad" / "xquad.en.json").read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            text, asked = paragraph["context"], paragraph["qas"][0]
            start = asked["answers"][0]["answer_start"]
            answer = next(span.of(text) for span in sentences(text) if span.start <= start < span.end)
            yield asked["question"], answer, text


def clapnq(folder: Path) -> Iterator[Pair]:
    file = folder / "clapnq" / "annotated_data" / "dev" / "clapnq_dev_answerable.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        passage = row["passages"][0]
        yield row["input"], row["output"][0]["answer"], f"{passage['title']}\n{passage['text']}"


@pytest.mark.parametrize("pairs", [xquad, clapnq])
def test_right_answers_and_passages_pass_and_those_of_other_questions_fail(
    data: Path, encoder_dir: Path, minimums: Minimums, pairs: object
) -> None:
    held_out = list(islice(pairs(data), 1, 2 * PAIRS, 2))  # the even ones were used to choose
    encoder = Encoder.load(encoder_dir)
    questions, answers, passages = (encoder.encode(column) for column in zip(*held_out, strict=True))
    half = len(held_out) // 2  # a pair half the set away is of another article
    assert share(questions, answers, 0, minimums.answer_relevance) >= 0.97
    assert share(questions, passages, 0, minimums.context_relevance) >= 0.97
    assert share(questions, answers, half, minimums.answer_relevance) <= 0.06
    assert share(questions, passages, half, minimums.context_relevance) <= 0.06


def share(questions: Sequence, others: Sequence, shift: int, minimum: float) -> float:
    """How many questions reach the minimum with the text *shift* places on."""
    count = len(questions)
    return sum(float(questions[i] @ others[(i + shift) % count]) >= minimum for i in range(count)) / count


@pytest.mark.parametrize(
    ("question", "answer", "passes"),
    [
        ("How much is the Aurora lamp?", "The Aurora lamp costs 49 euros.", True),
        ("How much is the Aurora lamp?", "It costs 49 euros.", True),
        ("How long does delivery take?", "Orders arrive in 3 to 5 working days.", True),
        ("How much is the Aurora lamp?", "Paris is the capital of France.", False),
        ("How much is the Aurora lamp?", "I don't know.", False),
    ],
)
def test_a_short_answer_passes_and_an_answer_to_something_else_fails(
    encoder_dir: Path, minimums: Minimums, question: str, answer: str, passes: bool
) -> None:
    asked, answered = Encoder.load(encoder_dir).encode([question, answer])
    assert (float(asked @ answered) >= minimums.answer_relevance) is passes
