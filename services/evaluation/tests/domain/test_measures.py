"""Each measure: what it counts, what it can't be deceived about, and when it measures nothing."""

from dataclasses import replace

import pytest

from plumbline_evaluation.domain.answer import Answer, Claim
from plumbline_evaluation.domain.evaluation import Label, Measure, Score
from plumbline_evaluation.domain.measures import (
    Evaluators,
    answer_relevance,
    citation_validity,
    context_relevance,
    faithfulness,
)
from plumbline_evaluation.testing import MINIMUMS, an_answer
from plumbline_models.evidence import Source

MEASURE = Measure("measure", "1", 0.6)
LAMP = Source("Aurora", "The Aurora lamp costs 49 euros. It is in stock.")
KETTLE = Source("Kettle", "The kettle boils a litre of water in three minutes.")
GERMAN = Source("Lampe", "Die Lampe kostet 49 Euro. Sie ist aus Stahl und wird in einer Schachtel geliefert.")


def cited(answer: Answer) -> Score:
    return citation_validity(MEASURE, answer, 0.6)


def grounded(text: str, *sources: Source) -> Score:
    return faithfulness(MEASURE, an_answer(text, sources=sources or (LAMP, KETTLE)), 0.6)


def test_a_citation_is_valid_when_its_source_supports_the_sentence() -> None:
    assert (cited(an_answer()).value, cited(an_answer()).label) == (1.0, Label.PASS)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(an_answer(cites=(2,), sources=(LAMP, KETTLE)), id="another_source"),
        pytest.param(an_answer(cites=(3,)), id="a_source_that_is_not_there"),
        pytest.param(an_answer(cites=(0,)), id="counted_from_zero"),
        pytest.param(an_answer("The Aurora lamp costs 59 euros."), id="a_wrong_number"),
        pytest.param(replace(an_answer(), claims=(Claim(5, 5, (1,)),)), id="no_sentence"),
        pytest.param(replace(an_answer(), claims=(Claim(0, 999, (1,)),)), id="beyond_the_text"),
        pytest.param(replace(an_answer(), claims=(Claim(-5, 999, (1,)),)), id="before_the_text"),
    ],
)
def test_a_citation_is_invalid_when_it_names(answer: Answer) -> None:
    assert (cited(answer).value, cited(answer).label) == (0.0, Label.FAIL)


def test_every_citation_counts_alike_and_the_wrong_ones_are_named() -> None:
    score = cited(an_answer(cites=(1, 2, 7, 8, 9), sources=(LAMP, KETTLE)))
    assert score.value == pytest.approx(0.2)
    assert score.explanation == (
        "1 of 5 citations name a source that supports their sentence, "
        "not citation of source 2, 7, 8 and 1 more; 0.6 passes"
    )


def test_an_answer_without_citations_was_not_measured() -> None:
    assert cited(an_answer(cites=())).label is Label.NOT_MEASURED


def test_faithfulness_is_the_share_of_supported_sentences() -> None:
    score = grounded(
        "The Aurora lamp costs 49 euros. The kettle boils a litre. Giraffes sleep standing. Dr. No agrees."
    )
    assert (score.value, score.label) == (0.5, Label.FAIL)
    assert "not sentence 3, 4" in score.explanation


@pytest.mark.parametrize("text", ["The Aurora lamp costs 59 euros.", "The Borealis lamp costs 49 euros."])
def test_a_sentence_whose_number_or_name_no_source_holds_is_not_supported(text: str) -> None:
    assert grounded(text).value == 0.0


def test_number_and_name_must_stand_in_one_source() -> None:
    assert grounded("In Oslo the lamp costs 49 euros.", LAMP, Source("", "The lamp is sold in Oslo.")).value == 0.0


def test_sentences_are_counted_from_the_text_whatever_the_writer_claims() -> None:
    answer = replace(
        an_answer("The Aurora lamp costs 49 euros. Giraffes sleep standing."), claims=(Claim(0, 31, (1,)),)
    )
    assert faithfulness(MEASURE, answer, 0.6).value == 0.5


def test_citation_markers_and_list_numbers_are_no_claims() -> None:
    assert grounded("1. The Aurora lamp costs 49 euros [1].\n2. It is in stock [1].").value == 1.0


@pytest.mark.parametrize("text", ["The Aurora lamp is not in stock.", "Nobody stocks the Aurora lamp."])
def test_a_sentence_that_denies_its_source_is_neither_supported_nor_rightly_cited(text: str) -> None:
    in_stock = (Source("Aurora", "The Aurora lamp is in stock."),)
    assert grounded(text, *in_stock).value == 0.0
    assert cited(an_answer(text, sources=in_stock)).label is Label.FAIL


def test_what_words_cannot_judge_is_neither_a_pass_nor_a_failure() -> None:
    text = "Die Lieferung der Lampe ist in einer Schachtel."
    score = grounded(text, GERMAN)
    assert (score.label, score.value) == (Label.NOT_MEASURED, 0.0)
    assert score.explanation == "0 of 1 sentences are supported by a source, 1 could not be checked"
    assert cited(an_answer(text, sources=(GERMAN,))).label is Label.NOT_MEASURED


@pytest.mark.parametrize(
    ("supported", "unsupported", "label", "value"),
    [
        pytest.param(2, 0, Label.PASS, 2 / 3, id="enough_is_supported_without_it"),
        pytest.param(1, 0, Label.NOT_MEASURED, 0.0, id="it_decides"),
        pytest.param(1, 2, Label.FAIL, 1 / 4, id="too_little_is_supported_even_with_it"),
    ],
)
def test_a_sentence_that_cannot_be_checked_counts_as_supported_nowhere(
    supported: int, unsupported: int, label: Label, value: float
) -> None:
    sentences = ["Die Lampe kostet 49 Euro."] * supported + ["Unsere Giraffen schlafen stehend."] * unsupported
    score = grounded(" ".join([*sentences, "Die Lieferung der Lampe ist in einer Schachtel."]), GERMAN)
    assert (score.label, score.value) == (label, value)


@pytest.mark.parametrize("beside", ["Yes.", "## Price", "Here is what it costs:", "Anything else?"])
def test_what_claims_nothing_counts_for_nothing(beside: str) -> None:
    assert grounded(f"{beside}\n\nThe Aurora lamp costs 49 euros.").value == 1.0


def test_code_is_one_piece_that_cannot_be_checked() -> None:
    assert grounded("```\nlamp.price = 59\nlamp.save()\n```").label is Label.NOT_MEASURED


@pytest.mark.parametrize("text", ["", "  ", "[1]", "It is.", "Yes.", "How much?"])
def test_a_text_that_claims_nothing_was_not_measured(text: str) -> None:
    assert grounded(text).label is Label.NOT_MEASURED


def test_an_answer_without_sources_is_supported_by_nothing() -> None:
    answer = an_answer(sources=())
    assert faithfulness(MEASURE, answer, 0.6).label is Label.FAIL
    assert context_relevance(MEASURE, []).label is Label.NOT_MEASURED


def test_context_relevance_is_that_of_the_nearest_source() -> None:
    score = context_relevance(MEASURE, [0.1, 0.7, 0.3])
    assert (score.value, score.label) == (0.7, Label.PASS)
    assert "source 2" in score.explanation


@pytest.mark.parametrize("similarities", [[0.9, float("nan")], [float("nan"), 0.9]])
def test_one_source_without_a_number_leaves_the_context_unmeasured(similarities: list[float]) -> None:
    assert context_relevance(MEASURE, similarities).label is Label.NOT_MEASURED


def test_an_opposite_is_as_irrelevant_as_a_stranger() -> None:
    assert answer_relevance(MEASURE, -0.4).value == 0.0


def test_whatever_changes_figures_or_labels_changes_the_version_of_the_set() -> None:
    versions = {
        Evaluators.of(MINIMUMS, "encoder").version,
        Evaluators.of(MINIMUMS, "another").version,
        Evaluators.of(replace(MINIMUMS, claim_support=0.7), "encoder").version,
        Evaluators.of(replace(MINIMUMS, faithfulness=0.7), "encoder").version,
    }
    assert len(versions) == 4
    assert Evaluators.of(MINIMUMS, "encoder").version in versions
