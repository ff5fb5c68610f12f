"""Ours beside others: what is reported of them."""

from pathlib import Path

import numpy as np

from tests.bench.figures import Figure
from tests.bench.peers.run import beside
from tests.bench.peers.yardstick import Job, Measured, Speed

OURS = [Figure("searches_per_s", 300.0), Figure("ingest_passages_per_cpu_s", 24.0)]


def searching(searches_per_s: float) -> Measured:
    """A peer whose figures matter little but for this one."""
    speed = Speed(alone_s=[0.02], searches_per_s=searches_per_s, cpu_ms_per_search=20.0)
    return Measured(15.0, 600.0, speed, 1_500.0, {"xquad": [1, 4, 0, 6]})


def reported(measured: dict[str, Measured]) -> dict[str, Figure]:
    return {figure.name: figure for figure in beside(OURS, measured)}


def test_ours_is_compared_with_the_best_peer() -> None:
    figures = reported({"txtai": searching(50.0), "ChromaDB": searching(60.0), "sentence-transformers": Measured(15.0)})

    assert figures["searches_per_s, times the best peer's"] == Figure(
        "searches_per_s, times the best peer's", 5.0, baseline="ChromaDB: searches_per_s", goal=">= 5.0", met=True
    )
    assert figures["ingest_passages_per_cpu_s, times bare encoding"].met is False


def test_a_peer_that_was_not_measured_is_not_silently_absent() -> None:
    figures = reported({"ChromaDB": searching(60.0)})

    assert figures["txtai: searches_per_s"].value is None
    assert figures["sentence-transformers: encode_passages_per_cpu_s"].value is None


def test_no_goal_is_met_against_some_of_the_peers() -> None:
    figures = reported({"ChromaDB": searching(20.0)})

    assert {figure.name: (figure.value, figure.met) for figure in figures.values() if figure.goal} == {
        "searches_per_s, times the best peer's": (None, None),
        "ingest_passages_per_cpu_s, times bare encoding": (None, None),
    }


def test_text_to_searchable_is_encoding_and_filling() -> None:
    figures = reported({"txtai": searching(50.0)})

    assert figures["txtai: ingest_passages_per_cpu_s"].value == 1 / (1 / 15.0 + 1 / 600.0)


def test_a_hit_is_a_right_passage_among_the_first() -> None:
    figures = reported({"txtai": searching(50.0)})

    assert (figures["txtai: xquad: hit@1"].value, figures["txtai: xquad: hit@5"].value) == (0.25, 0.5)


def test_a_job_and_what_came_out_are_read_as_they_were_written(tmp_path: Path) -> None:
    vectors = np.ones((1, 384), np.float32)
    job = Job("model", ["a passage"], vectors, {"xquad": [["a question", [0]]]}, ["a question"], in_flight=16, count=8)
    job.save(tmp_path)
    searching(50.0).save(tmp_path)

    assert Job.load(tmp_path).questions == job.questions
    assert (Job.load(tmp_path).vectors == vectors).all()
    assert Measured.load(tmp_path) == searching(50.0)
