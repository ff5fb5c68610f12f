"""Labels and verdicts."""

import pytest

from plumbline_evaluation.domain.evaluation import Label, Measure, Verdict, verdict_of

MEASURE = Measure("faithfulness", "1", 0.6)


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        pytest.param([Label.PASS, Label.PASS], Verdict.PASSED, id="all_pass"),
        pytest.param([Label.PASS, Label.FAIL], Verdict.FAILED, id="one_fails"),
        pytest.param([Label.PASS, Label.NOT_MEASURED], Verdict.NEEDS_REVIEW, id="one_not_measured"),
        pytest.param([Label.FAIL, Label.NOT_MEASURED], Verdict.FAILED, id="a_failure_outweighs_a_gap"),
        pytest.param([Label.NOT_MEASURED], Verdict.NEEDS_REVIEW, id="nothing_measured"),
        pytest.param([], Verdict.NEEDS_REVIEW, id="no_measure"),
    ],
)
def test_the_verdict_follows_from_all_labels(labels: list[Label], verdict: Verdict) -> None:
    assert verdict_of(labels) is verdict


@pytest.mark.parametrize(("value", "label"), [(0.6, Label.PASS), (0.59, Label.FAIL), (0.0, Label.FAIL)])
def test_a_value_passes_from_the_minimum_on(value: float, label: Label) -> None:
    assert MEASURE.measured(value, "counted").label is label


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_was_not_measured(value: float) -> None:
    assert MEASURE.measured(value, "counted").label is Label.NOT_MEASURED


@pytest.mark.parametrize(("value", "cut"), [(-0.2, 0.0), (1.0000001, 1.0), (0.7, 0.7)])
def test_a_score_lies_between_0_and_1(value: float, cut: float) -> None:
    assert MEASURE.measured(value, "counted").value == cut
