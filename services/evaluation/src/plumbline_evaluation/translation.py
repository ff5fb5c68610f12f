"""Contract messages to domain and back, once for every way in and out."""

from datetime import UTC
from typing import Final

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as pb
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import MAX_MESSAGE_BYTES
from plumbline_evaluation.domain.answer import Answer, Claim, Outcome, Subject
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation, Label, Score, Verdict
from plumbline_kit.errors import Invalid
from plumbline_models.evidence import Source

_OUTCOMES: Final = {
    common_pb.ANSWER_OUTCOME_REFUSED: Outcome.REFUSED,
    common_pb.ANSWER_OUTCOME_DEGRADED: Outcome.DEGRADED,
}
_LABELS: Final = {
    Label.PASS: pb.SCORE_LABEL_PASS,
    Label.FAIL: pb.SCORE_LABEL_FAIL,
    Label.NOT_MEASURED: pb.SCORE_LABEL_NOT_MEASURED,
}
_VERDICTS: Final = {
    Verdict.PASSED: pb.VERDICT_PASSED,
    Verdict.FAILED: pb.VERDICT_FAILED,
    Verdict.NEEDS_REVIEW: pb.VERDICT_NEEDS_REVIEW,
}
FRAMING_BYTES: Final = 4_000
"""What the scores and the framing of an evaluation take, with room to spare."""


def subject_from_proto(fact: AnswerGenerated) -> Subject:
    """A generated answer. Raises `Invalid` where it belongs to nobody or is too large to be carried on."""
    if fact.ByteSize() > MAX_MESSAGE_BYTES - FRAMING_BYTES:
        raise Invalid(f"an answer of {fact.ByteSize():,} bytes leaves no room for its evaluation")
    return Subject(
        tenant=fact.tenant_id,
        answer_id=fact.answer_id,
        application=fact.release.application_id,
        release=fact.release.release_id,
        question=fact.question,
        answer=answer_from_proto(fact.answer),
        fact=fact.SerializeToString(),
    )


def answer_from_proto(answer: common_pb.Answer) -> Answer:
    """An answer; an outcome that nobody set, or that this build does not know, is measured like any answer."""
    return Answer(
        text=answer.text,
        claims=tuple(Claim(c.start_offset, c.end_offset, tuple(c.source_numbers)) for c in answer.claims),
        sources=tuple(Source(passage.title, passage.text) for passage in answer.sources),
        outcome=_OUTCOMES.get(answer.outcome, Outcome.ANSWERED),
    )


def completed_to_proto(completed: CompletedEvaluation) -> EvaluationCompleted:
    """The fact, with its whole subject as it arrived."""
    return EvaluationCompleted(
        evaluation_id=completed.id,
        subject=AnswerGenerated.FromString(completed.subject.fact),
        evaluation=evaluation_to_proto(completed.evaluation),
    )


def evaluation_to_proto(evaluation: Evaluation) -> pb.Evaluation:
    """Scores, verdict and time."""
    message = pb.Evaluation(scores=map(_score, evaluation.scores), verdict=_VERDICTS[evaluation.verdict])
    message.evaluate_time.FromDatetime(evaluation.time.astimezone(UTC))
    return message


def _score(score: Score) -> pb.Score:
    return pb.Score(
        name=score.name,
        evaluator_version=score.evaluator_version,
        value=score.value,
        label=_LABELS[score.label],
        explanation=score.explanation,
    )
