"""Answers and traces as a person sees them."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline_cli.rendering import best_quote, cited_numbers, render_answer, render_trace
from plumbline_local.traces.spans import StoredSpan


def shown(what: RenderableType) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(what)
    return console.export_text()


def span(span_id: str, parent: str, service: str, name: str, start: int, end: int, **changes: Any) -> StoredSpan:
    fields: dict[str, Any] = {"kind": "internal", "status": "unset", "status_message": "", "attributes": {}}
    times = {"start_ns": start * 1_000_000, "end_ns": end * 1_000_000}
    return StoredSpan("ab" * 16, span_id, parent, service, name, **(fields | times | changes))


def test_a_supported_sentence_is_followed_by_its_source(generated: pb.AskCompleted) -> None:
    assert "The Aurora desk lamp costs 49 euros. [2]" in shown(render_answer(generated))


def test_an_unsupported_sentence_is_marked(generated: pb.AskCompleted) -> None:
    assert "It is made of cheese. [not supported]" in shown(render_answer(generated))


@pytest.mark.parametrize(
    ("status", "marked"),
    [
        (common_pb.CLAIM_STATUS_NOT_CHECKED, "It is made of cheese. [not checked]"),
        (common_pb.CLAIM_STATUS_NO_CLAIM, "It is made of cheese.\n"),
        (common_pb.CLAIM_STATUS_UNSUPPORTED, "It is made of cheese. [not supported]"),
    ],
)
def test_a_sentence_without_a_source_says_why(
    generated: pb.AskCompleted, status: "common_pb.ClaimStatus.ValueType", marked: str
) -> None:
    generated.answer.claims[1].status = status
    assert marked in shown(render_answer(generated)).replace(" \n", "\n")


def test_only_cited_sources_are_listed_with_what_supports(generated: pb.AskCompleted) -> None:
    text = shown(render_answer(generated))
    assert "[2] Aurora  lamps.md, version 7" in text
    assert "“The Aurora desk lamp costs 49 euros.”" in text
    assert "Chairs" not in text


def test_an_answer_says_how_it_came_about_and_how_to_go_on(generated: pb.AskCompleted) -> None:
    text = shown(render_answer(generated))
    assert "generated, model small-model, 812 ms" in text
    assert "plumbline trace answer-1" in text
    assert "plumbline evaluation answer-1" in text


def test_a_cached_answer_points_to_the_evaluation_of_its_first_asking(generated: pb.AskCompleted) -> None:
    generated.origin, generated.cached_answer_id = pb.ANSWER_ORIGIN_CACHED, "answer-0"
    text = shown(render_answer(generated))
    assert "cached" in text
    assert "plumbline evaluation answer-0" in text


def test_an_answer_that_nobody_will_evaluate_says_so(generated: pb.AskCompleted) -> None:
    generated.recorded = False
    text = shown(render_answer(generated))
    assert "not recorded" in text
    assert "plumbline evaluation" not in text


def test_a_number_without_a_source_is_left_out(generated: pb.AskCompleted) -> None:
    generated.answer.claims[1].source_numbers.extend([0, 3])
    assert cited_numbers(generated.answer) == [2]


def test_a_quote_is_the_closest_sentence_cut_where_it_is_long() -> None:
    passage = "Returns are free. The lamp costs 1.50 euros a day. It glows."
    assert best_quote("It costs 1.50 euros", passage) == "The lamp costs 1.50 euros a day."
    assert best_quote("x", "x " * 500).endswith("…")
    assert best_quote("x", "") == ""


def test_a_trace_is_a_tree_with_services_and_durations() -> None:
    spans = [
        span("1", "", "gateway", "Ask", 100, 160),
        span("2", "1", "cache", "LookupAnswer", 101, 103),
        span("3", "1", "generation", "GenerateAnswer", 110, 150, status="error", status_message="UNAVAILABLE"),
        span("4", "lost", "evaluation", "process answer-generated", 170, 200),
    ]
    lines = shown(render_trace(spans)).splitlines()
    assert lines[0].endswith("4 spans  100.0 ms")
    assert lines[1] == "├── gateway Ask  60.0 ms  +0.0"
    assert lines[2].endswith("cache LookupAnswer  2.0 ms  +1.0")
    assert lines[3].endswith("generation GenerateAnswer  40.0 ms  +10.0  UNAVAILABLE")
    assert lines[4] == "└── evaluation process answer-generated  30.0 ms  +70.0"


@pytest.mark.parametrize("text", ["[bold]not markup[/bold]", "[/]"])
def test_an_answer_is_text_and_never_markup(generated: pb.AskCompleted, text: str) -> None:
    generated.answer.text = text
    del generated.answer.claims[:]
    assert text in shown(render_answer(generated))


def test_a_cached_answer_says_what_it_saved(generated: pb.AskCompleted) -> None:
    generated.origin = pb.ANSWER_ORIGIN_CACHED
    generated.saved.prompt_tokens = 1700
    generated.saved.time.FromMilliseconds(1500)
    assert "saved 1,700 tokens, 1.5 s" in shown(render_answer(generated))
