"""What `bench-cache` stores and asks: questions of qqp, and facts of evaluated answers to them.

The texts are public and only read; see the data's own README for what they may be used for.
"""

import gzip
import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline.generation.v1.generation_service_pb2 import GenerationRecord
from plumbline_kit.release import Release
from plumbline_models.text import normalise
from tests.bench.questions import PASSAGE_CHARACTERS, fact

DOCUMENTS: Final = 120
PASSAGES: Final = 4
"""Behind each answer, as the release has it."""
SENTENCES: Final = 3
UNSTORED: Final = 2_000
"""Questions that are kept for misses."""
SCORES: Final = ("faithfulness", "citation_validity", "answer_relevance", "context_relevance")

_BODY: Final = Path("demo/documents/products")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is stored, in this order, and what is never stored."""

    stored: list[str]
    unstored: list[str]


def load(data: Path, count: int) -> Questions:
    """*count* questions to store, no two of them the same but for case, white space and punctuation.

    Where the set has fewer, the rest are its questions again, told apart by a number.
    """
    with gzip.open(data / "qqp/qqp_pairs_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    distinct = {normalise(text): text for pair in pairs for text in (pair["q1"], pair["q2"]) if normalise(text)}
    texts = list(distinct.values())
    known = texts[UNSTORED:]
    numbered = (f"{text} (No. {turn})" for turn in itertools.count(2) for text in known)
    return Questions(list(itertools.islice(itertools.chain(known, numbered), count)), texts[:UNSTORED])


def other_words(question: str, number: int) -> str:
    """One of six other ways to ask the same."""
    lower, bare = question[:1].lower() + question[1:], question.rstrip("?")
    ways = (
        f"Please tell me: {question}",
        f"Please, {lower}",
        f"{bare}, please?",
        f"Hello, {lower}",
        f"{question} Thanks",
        f"Tell me {lower}",
    )
    return ways[number % len(ways)]


WAYS: Final = 6
"""How many `other_words` knows."""


def document(number: int) -> str:
    """The text of one document: one passage of usual length."""
    bodies = sorted(_BODY.iterdir())
    body = bodies[number % len(bodies)].read_text(encoding="utf-8")
    return f"{fact(number)} {' '.join(body.replace('#', '').split())}"[:PASSAGE_CHARACTERS]


class Evaluated:
    """Facts of answers that passed, each resting on some of *passages*."""

    def __init__(self, release: Release, passages: Sequence[common_pb.Passage], tenant: str) -> None:
        self._release = common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id)
        self._passages = passages
        self._tenant = tenant

    def fact(self, number: int, question: str) -> EvaluationCompleted:
        """Of the answer to the *number*-th stored question."""
        subject = AnswerGenerated(
            answer_id=str(uuid.uuid4()),
            tenant_id=self._tenant,
            release=self._release,
            question=question,
            answer=self._answer(number),
            record=GenerationRecord(
                model="smollm2-135m-instruct",
                prompt_version="0123456789ab",
                prompt_tokens=900,
                completion_tokens=99,
            ),
        )
        subject.generate_time.FromDatetime(datetime.now(UTC))
        scores = [evaluation_pb.Score(name=name, value=0.9, label=evaluation_pb.SCORE_LABEL_PASS) for name in SCORES]
        evaluation = evaluation_pb.Evaluation(scores=scores, verdict=evaluation_pb.VERDICT_PASSED)
        evaluation.evaluate_time.FromDatetime(datetime.now(UTC))
        return EvaluationCompleted(evaluation_id=str(uuid.uuid4()), subject=subject, evaluation=evaluation)

    def _answer(self, number: int) -> common_pb.Answer:
        sources = [self._passages[(number + rank) % len(self._passages)] for rank in range(PASSAGES)]
        sentences = [passage.text.split(". ")[0] + "." for passage in sources[:SENTENCES]]
        return common_pb.Answer(
            text=" ".join(sentences),
            claims=_claims(sentences),
            sources=sources,
            outcome=common_pb.ANSWER_OUTCOME_ANSWERED,
        )


def _claims(sentences: Sequence[str]) -> Iterator[common_pb.Claim]:
    start = 0
    for number, sentence in enumerate(sentences, start=1):
        evidence = common_pb.Evidence(source_number=number, end_offset=len(sentence))
        yield common_pb.Claim(
            start_offset=start,
            end_offset=start + len(sentence),
            source_numbers=[number],
            support=1.0,
            status=common_pb.CLAIM_STATUS_SUPPORTED,
            evidence=[evidence],
        )
        start += len(sentence) + 1
