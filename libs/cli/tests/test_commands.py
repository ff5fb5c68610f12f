"""The commands against services in this process."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.gateway.v1 import gateway_service_pb2 as pb


def a_folder(path: Path) -> Path:
    """Two documents, one unreadable file and one that is no document."""
    folder = path / "shop"
    (folder / "lamps").mkdir(parents=True)
    (folder / "lamps" / "aurora.md").write_text("# Aurora\n\nThe Aurora costs 49 euros.", encoding="utf-8")
    (folder / "hours.txt").write_text("Ten to six.", encoding="utf-8")
    (folder / "empty.md").write_text("", encoding="utf-8")
    return folder


def test_ask_shows_the_answer_with_its_source(plumbline: Any) -> None:
    result = plumbline("ask", "What does the Aurora cost?")
    assert result.exit_code == 0
    assert "The Aurora desk lamp costs 49 euros. [2]" in result.stdout
    assert "[2] Aurora" in result.stdout


def test_ask_sends_the_token_and_the_wanted_freshness(plumbline: Any, platform: Any) -> None:
    plumbline("ask", "Why?", "--freshness", "strict")
    assert platform.tokens == ["Bearer secret"]
    assert platform.questions[0].freshness == pb.FRESHNESS_STRICT


def test_ask_sends_a_schema(plumbline: Any, platform: Any, tmp_path: Path) -> None:
    schema = tmp_path / "lamp.json"
    assert plumbline("ask", "Why?", "--json-schema", schema).exit_code == 1
    schema.write_text('{"type": "object"}', encoding="utf-8")
    plumbline("ask", "Why?", "--json-schema", schema)
    assert [question.json_schema for question in platform.questions] == ['{"type": "object"}']


def test_ask_prints_one_json_document(plumbline: Any) -> None:
    [answer] = plumbline.json("ask", "Why?")
    assert answer["origin"] == "ANSWER_ORIGIN_GENERATED"
    assert answer["answer"]["claims"][0]["source_numbers"] == [2]


def test_evaluation_shows_every_measure_and_why(plumbline: Any) -> None:
    result = plumbline("evaluation", "answer-1")
    assert "verdict: failed" in result.stdout
    assert "1 of 2" in result.stdout
    assert "not_measured" in result.stdout


def test_ingest_reports_every_file_and_a_refused_one_stops_no_other(
    plumbline: Any, platform: Any, tmp_path: Path
) -> None:
    result = plumbline("ingest", a_folder(tmp_path))
    assert result.exit_code == 1
    assert sorted(platform.documents) == ["hours.txt", "lamps/aurora.md"]
    assert platform.documents["lamps/aurora.md"].title == "Aurora"
    lines = sorted(result.stdout.splitlines())
    assert [line.split()[0] for line in lines] == ["indexed", "indexed", "refused"]
    assert "file holds no text" in lines[2]
    assert "2 in, 1 not" in result.stderr


def test_ingest_says_what_the_service_and_the_index_refuse(plumbline: Any, platform: Any, tmp_path: Path) -> None:
    platform.refused["hours.txt"] = "text is too short"
    platform.rejected["lamps/aurora.md"] = "no passages"
    reports = {report["document_id"]: report for report in plumbline.json("ingest", a_folder(tmp_path))}
    assert reports["hours.txt"]["reason"] == "text is too short"
    assert reports["lamps/aurora.md"]["reason"] == "no passages"
    assert {report["state"] for report in reports.values()} == {"refused"}


def test_ingest_sends_what_is_said_of_every_document(plumbline: Any, platform: Any, tmp_path: Path) -> None:
    said = ("--source", "wiki", "--group", "sales", "--group", "ops", "--metadata", "room=hall")
    plumbline("ingest", a_folder(tmp_path), *said)
    document = platform.documents["hours.txt"]
    assert (document.source_id, list(document.groups), dict(document.metadata)) == (
        "wiki",
        ["sales", "ops"],
        {"room": "hall"},
    )
    assert "write NAME=VALUE" in plumbline("ingest", a_folder(tmp_path / "again"), "--metadata", "hall").stderr


def test_ingest_without_waiting_reports_what_was_accepted(plumbline: Any, tmp_path: Path) -> None:
    (a_folder(tmp_path) / "empty.md").unlink()
    result = plumbline("ingest", tmp_path / "shop", "--no-wait")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["accepted", "accepted"]


@pytest.mark.parametrize("content", ["nowhere", ""], ids=["no folder", "empty folder"])
def test_ingest_of_nothing_is_a_mistake(plumbline: Any, tmp_path: Path, content: str) -> None:
    result = plumbline("ingest", tmp_path / content)
    assert result.exit_code == 1
    assert result.stderr.startswith("plumbline: ")


def test_delete_removes_a_document(plumbline: Any, platform: Any, tmp_path: Path) -> None:
    plumbline("ingest", a_folder(tmp_path))
    assert plumbline("delete", "hours.txt").exit_code == 0
    assert sorted(platform.documents) == ["lamps/aurora.md"]


def test_delete_of_an_unknown_document_says_so(plumbline: Any) -> None:
    result = plumbline("delete", "nothing.md")
    assert (result.exit_code, result.stderr) == (1, "plumbline: retrieval: there is no document nothing.md\n")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "gateway: no"),
        (grpc.StatusCode.UNAUTHENTICATED, "`plumbline up` writes a fresh token"),
        (grpc.StatusCode.PERMISSION_DENIED, "`plumbline token --scopes` makes one"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "try again in 1 s"),
        (grpc.StatusCode.INTERNAL, "its log under .plumbline/logs says why"),
    ],
)
def test_a_failure_is_one_sentence_and_no_traceback(
    plumbline: Any, platform: Any, code: grpc.StatusCode, expected: str
) -> None:
    platform.code = code
    result = plumbline("ask", "Why?")
    assert result.exit_code == 1
    assert expected in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [("ask", "Why?"), ("evaluation", "x"), ("ingest", __file__), ("delete", "x")])
def test_without_a_platform_every_command_says_how_to_start_it(plumbline: Any, command: tuple[str, ...]) -> None:
    away = [part for name in ("gateway", "retrieval", "evaluation") for part in (f"--{name}", "127.0.0.1:1")]
    result = plumbline(*away, *command)
    assert result.exit_code == 1
    assert "does not answer at 127.0.0.1:1: start the platform with `plumbline up`" in result.stderr


def test_without_a_token_the_command_says_where_to_get_one(plumbline: Any) -> None:
    result = plumbline("ask", "Why?", token="")
    assert result.exit_code == 1
    assert "there is no token yet" in result.stderr


def test_debug_shows_where_it_happened(plumbline: Any, platform: Any) -> None:
    platform.code = grpc.StatusCode.INTERNAL
    assert isinstance(plumbline("--debug", "ask", "Why?").exception.__cause__, grpc.aio.AioRpcError)


def test_status_of_a_platform_that_is_down_fails(plumbline: Any) -> None:
    result = plumbline("status", "--json")
    parts = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {part["state"] for part in parts} == {"stopped"}
    assert "gateway" in {part["name"] for part in parts}


def test_token_prints_a_token_and_nothing_else(plumbline: Any) -> None:
    result = plumbline("token", "--tenant", "acme")
    assert result.stdout.count(".") == 2
    assert result.stderr == ""


def test_events_of_an_unknown_topic_name_the_table(plumbline: Any) -> None:
    result = plumbline("events", "tail", "--topic", "weather")
    assert "there is no topic 'weather'" in result.stderr


def test_without_kafka_the_command_says_how_to_start_it(plumbline: Any) -> None:
    result = plumbline("--kafka", "127.0.0.1:1", "topics")
    assert result.exit_code == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in result.stderr
