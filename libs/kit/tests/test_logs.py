"""Logs: what a line says of where it is from, and that libraries' lines look the same."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from plumbline_kit import logs
from plumbline_kit.telemetry import tracer

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What has been logged since the last reading."""
    before, handlers = structlog.get_config(), logging.root.handlers[:]
    level = logging.root.level
    logs.configure("desk", "info")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_line_says_when_where_and_in_which_trace(lines: Lines) -> None:
    with tracer().start_as_current_span("work") as span:
        structlog.get_logger().info("cache_warmed", entries=3)
    [line] = lines()
    assert (line["event"], line["level"], line["service"], line["entries"]) == ("cache_warmed", "info", "desk", 3)
    assert line["timestamp"].endswith("Z")
    assert int(line["trace_id"], 16) == span.get_span_context().trace_id
    assert int(line["span_id"], 16) == span.get_span_context().span_id


def test_a_line_outside_of_any_trace_names_none(lines: Lines) -> None:
    structlog.get_logger().info("cache_warmed")
    assert "trace_id" not in lines()[0]


def test_lines_below_the_level_are_left_out(lines: Lines) -> None:
    structlog.get_logger().debug("detail")
    assert lines() == []


def test_an_exception_is_one_line(lines: Lines) -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        structlog.get_logger().error("crashed", exc_info=error)
    [line] = lines()
    assert "ValueError: no" in line["exception"]


def test_a_librarys_warning_is_a_line_of_the_same_form(lines: Lines) -> None:
    logging.getLogger("some.library").warning("%s is odd", "this")
    logging.getLogger("some.library").info("chatter")
    [line] = lines()
    assert (line["event"], line["logger"], line["message"]) == ("library_log", "some.library", "this is odd")
    assert (line["level"], line["service"]) == ("warning", "desk")
