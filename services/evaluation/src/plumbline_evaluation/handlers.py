"""The use cases."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Final

from opentelemetry import trace

from plumbline_evaluation.domain.answer import Answer, Outcome, Subject, require_id
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation, Label, Score
from plumbline_evaluation.domain.measures import (
    Evaluators,
    Minimums,
    answer_relevance,
    citation_validity,
    context_relevance,
    faithfulness,
)
from plumbline_evaluation.ports import EvaluationStore, Similarity
from plumbline_kit.clock import Clock
from plumbline_kit.errors import NotFound, Unavailable
from plumbline_kit.telemetry import annotate, names

NAMESPACE: Final = uuid.UUID("6f1f3c1e-8d4a-5b0e-9a53-7f0f2c1d9b64")


class EvaluateAnswer:
    """Measures an answer; keeps nothing."""

    def __init__(self, similarity: Similarity, minimums: Minimums, clock: Clock) -> None:
        self._similarity = similarity
        self._minimum_support = minimums.claim_support
        self._clock = clock
        self.evaluators = Evaluators.of(minimums, similarity.encoder_id)

    async def __call__(self, question: str, answer: Answer) -> Evaluation:
        """Every score, measured or with the reason why not. Raises nothing for a wrong answer."""
        if answer.outcome is Outcome.REFUSED:
            scores = [measure.not_measured("the answer is a refusal") for measure in self.evaluators.all()]
        else:
            by_words = await asyncio.to_thread(self._by_words, answer)
            scores = [*by_words, *await self._by_meaning(question, answer)]
        evaluation = Evaluation(tuple(scores), self._clock.now())
        _report(evaluation)
        return evaluation

    def _by_words(self, answer: Answer) -> Sequence[Score]:
        return (
            citation_validity(self.evaluators.citation_validity, answer, self._minimum_support),
            faithfulness(self.evaluators.faithfulness, answer, self._minimum_support),
        )

    async def _by_meaning(self, question: str, answer: Answer) -> Sequence[Score]:
        on_answer, on_context = self.evaluators.answer_relevance, self.evaluators.context_relevance
        if not question.strip():
            return [measure.not_measured("the question is empty") for measure in (on_answer, on_context)]
        texts = [answer.text, *(source.whole.strip() for source in answer.sources)]
        try:
            to_answer, *to_sources = await self._similarity.to_each(question, texts)
        except Unavailable:
            return [measure.not_measured("the encoder failed") for measure in (on_answer, on_context)]
        if not answer.text.strip():
            return on_answer.not_measured("the answer is empty"), context_relevance(on_context, to_sources)
        return answer_relevance(on_answer, to_answer), context_relevance(on_context, to_sources)


class RecordEvaluation:
    """Evaluates a generated answer once, however often it is told of it."""

    def __init__(self, evaluate: EvaluateAnswer, store: EvaluationStore) -> None:
        self._evaluate = evaluate
        self._store = store

    async def __call__(self, subject: Subject, *, event_id: str) -> None:
        """Measure it, keep the evaluation and announce it. Raises `Unavailable`; then nothing was kept."""
        evaluation = await self._evaluate(subject.question, subject.answer)
        completed = CompletedEvaluation(self._id(subject), subject, evaluation)
        annotate({names.ANSWER_ID: subject.answer_id, names.EVALUATION_ID: completed.id})
        await self._store.record(completed, event_id=event_id)

    def _id(self, subject: Subject) -> str:
        version = self._evaluate.evaluators.version
        return str(uuid.uuid5(NAMESPACE, f"{subject.tenant}/{subject.answer_id}/{version}"))


class GetEvaluation:
    """Finds what was measured of an answer."""

    def __init__(self, store: EvaluationStore) -> None:
        self._store = store

    async def __call__(self, tenant: str, answer_id: str) -> Evaluation:
        """Raises `NotFound` until there is one, and for another tenant's answer."""
        require_id("answer_id", answer_id)
        evaluation = await self._store.find(tenant, answer_id)
        if evaluation is None:
            raise NotFound(f"there is no evaluation of answer {answer_id}")
        return evaluation


def _report(evaluation: Evaluation) -> None:
    """Put verdict and scores on the current span."""
    annotate({names.VERDICT: evaluation.verdict.value})
    for score in evaluation.scores:
        trace.get_current_span().add_event(names.EVALUATION_RESULT, _attributes(score))


def _attributes(score: Score) -> dict[str, str | float]:
    told: dict[str, str | float] = {
        names.EVALUATION_NAME: score.name,
        names.EVALUATION_SCORE_LABEL: score.label.value,
        names.EVALUATION_EXPLANATION: score.explanation,
    }
    measured = score.label is not Label.NOT_MEASURED
    return told | {names.EVALUATION_SCORE_VALUE: score.value} if measured else told
