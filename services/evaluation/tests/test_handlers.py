"""The use cases on fakes."""

import pytest

from plumbline_evaluation.domain.answer import Answer, Outcome
from plumbline_evaluation.domain.evaluation import Evaluation, Label, Verdict
from plumbline_evaluation.handlers import EvaluateAnswer, GetEvaluation, RecordEvaluation
from plumbline_evaluation.testing import (
    MINIMUMS,
    QUESTION,
    FakeSimilarity,
    MemoryEvaluations,
    a_subject,
    an_answer,
)
from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.testing import FakeClock


def evaluator(similarity: FakeSimilarity | None = None) -> EvaluateAnswer:
    return EvaluateAnswer(similarity or FakeSimilarity(), MINIMUMS, FakeClock())


def labels(evaluation: Evaluation) -> dict[str, Label]:
    return {score.name: score.label for score in evaluation.scores}


async def test_a_true_relevant_cited_answer_passes() -> None:
    evaluation = await evaluator()(QUESTION, an_answer())
    assert evaluation.verdict is Verdict.PASSED
    assert set(labels(evaluation)) == {"citation_validity", "faithfulness", "answer_relevance", "context_relevance"}
    assert evaluation.time == FakeClock().now()


@pytest.mark.parametrize(
    ("answer", "failing"),
    [
        pytest.param(an_answer("The Aurora lamp costs 59 euros."), {"citation_validity", "faithfulness"}, id="wrong"),
        pytest.param(an_answer(cites=(2,)), {"citation_validity"}, id="misquoted"),
    ],
)
async def test_a_wrong_answer_fails(answer: Answer, failing: set[str]) -> None:
    evaluation = await evaluator()(QUESTION, answer)
    assert evaluation.verdict is Verdict.FAILED
    assert {name for name, label in labels(evaluation).items() if label is Label.FAIL} == failing


async def test_an_irrelevant_answer_fails() -> None:
    evaluation = await evaluator(FakeSimilarity(cosine=0.05))(QUESTION, an_answer())
    assert labels(evaluation)["answer_relevance"] is Label.FAIL


async def test_of_a_refusal_nothing_is_measured() -> None:
    evaluation = await evaluator()(QUESTION, an_answer("I don't know.", outcome=Outcome.REFUSED))
    assert set(labels(evaluation).values()) == {Label.NOT_MEASURED}
    assert {score.explanation for score in evaluation.scores} == {"the answer is a refusal"}
    assert evaluation.verdict is Verdict.NEEDS_REVIEW


async def test_an_extract_is_measured_like_any_answer() -> None:
    assert (await evaluator()(QUESTION, an_answer(outcome=Outcome.DEGRADED))).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "similarity",
    [FakeSimilarity(error=Unavailable("out of memory")), FakeSimilarity(cosine=float("nan"))],
    ids=["encoder_fails", "encoder_gives_no_number"],
)
async def test_what_the_encoder_could_not_measure_is_neither_zero_nor_a_pass(similarity: FakeSimilarity) -> None:
    evaluation = await evaluator(similarity)(QUESTION, an_answer())
    found = labels(evaluation)
    assert found["answer_relevance"] is found["context_relevance"] is Label.NOT_MEASURED
    assert found["faithfulness"] is Label.PASS
    assert evaluation.verdict is Verdict.NEEDS_REVIEW


@pytest.mark.parametrize(("question", "text"), [("", "The Aurora lamp costs 49 euros."), (QUESTION, " ")])
async def test_an_empty_question_or_answer_needs_a_review(question: str, text: str) -> None:
    evaluation = await evaluator()(question, an_answer(text, cites=()))
    assert labels(evaluation)["answer_relevance"] is Label.NOT_MEASURED
    assert evaluation.verdict is Verdict.NEEDS_REVIEW


async def test_an_answer_told_of_twice_is_evaluated_and_announced_once() -> None:
    store = MemoryEvaluations()
    record = RecordEvaluation(evaluator(), store)
    await record(a_subject(), event_id="event-1")
    await record(a_subject(), event_id="event-1")
    await record(a_subject(), event_id="event-2")
    assert [completed.subject.answer_id for completed in store.announced] == ["answer-1"]


async def test_the_evaluation_id_is_that_of_answer_and_evaluators() -> None:
    stores = [MemoryEvaluations() for _ in range(4)]
    await RecordEvaluation(evaluator(), stores[0])(a_subject(), event_id="event-1")
    await RecordEvaluation(evaluator(), stores[1])(a_subject(), event_id="event-2")
    await RecordEvaluation(evaluator(), stores[2])(a_subject(tenant="globex"), event_id="event-1")
    await RecordEvaluation(evaluator(FakeSimilarity(encoder_id="new")), stores[3])(a_subject(), event_id="event-1")
    first, again, other_tenant, other_evaluators = (store.announced[0].id for store in stores)
    assert first == again
    assert len({first, other_tenant, other_evaluators}) == 3


async def test_without_the_store_the_event_has_to_come_again() -> None:
    store = MemoryEvaluations(away=True)
    with pytest.raises(Unavailable):
        await RecordEvaluation(evaluator(), store)(a_subject(), event_id="event-1")


async def test_an_evaluation_is_found_by_its_tenant_only() -> None:
    store = MemoryEvaluations()
    await RecordEvaluation(evaluator(), store)(a_subject(), event_id="event-1")
    assert (await GetEvaluation(store)("acme", "answer-1")).verdict is Verdict.PASSED
    for tenant, answer_id in (("globex", "answer-1"), ("acme", "answer-2")):
        with pytest.raises(NotFound):
            await GetEvaluation(store)(tenant, answer_id)


@pytest.mark.parametrize("wrong", ["", " ", "x" * 201, "a\0b"], ids=["empty", "blank", "long", "nul"])
def test_an_answer_without_a_usable_name_belongs_to_nobody(wrong: str) -> None:
    for names in ({"tenant": wrong}, {"answer_id": wrong}):
        with pytest.raises(Invalid):
            a_subject(**names)
