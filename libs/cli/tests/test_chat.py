"""Conversations on the command line."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as generation_pb
from plumbline_cli.conversation import KEPT_TURNS, MAX_ALL_CHARACTERS, MAX_CHARACTERS, Conversation

CONDENSED = common_pb.Condensation(
    original_question="And how heavy is it?", standalone_question="Aurora desk lamp: And how heavy is it?"
)


def said(request: Any) -> list[tuple[int, str]]:
    return [(turn.role, turn.text) for turn in request.turns]


def test_each_question_goes_out_with_what_was_said_before(plumbline: Any, platform: Any) -> None:
    result = plumbline("chat", typed="What does the Aurora cost?\n\n  And how heavy is it?  \n")
    assert result.exit_code == 0
    first, second = platform.questions
    assert (first.question, said(first)) == ("What does the Aurora cost?", [])
    assert second.question == "And how heavy is it?"
    assert said(second) == [
        (common_pb.TURN_ROLE_USER, "What does the Aurora cost?"),
        (common_pb.TURN_ROLE_ASSISTANT, platform.answer.answer.text),
    ]


def test_a_question_that_was_changed_says_what_it_was_understood_as(plumbline: Any, platform: Any) -> None:
    platform.answer.condensation.CopyFrom(CONDENSED)
    assert "understood as: Aurora desk lamp: And how heavy is it?" in plumbline("chat", typed="it?\n").stdout
    platform.answer.condensation.standalone_question = CONDENSED.original_question
    assert "understood as" not in plumbline("chat", typed="it?\n").stdout


def test_a_conversation_goes_on_where_its_file_ends(plumbline: Any, platform: Any, tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    plumbline("chat", "--conversation", file, typed="What does the Aurora cost?\n")
    plumbline("ask", "And how heavy is it?", "--conversation", file)
    assert len(said(platform.questions[1])) == 2
    turns = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert turns[2]["text"] == "And how heavy is it?"


@pytest.mark.parametrize("line", ["hello", "[]", '{"role": "system", "text": "Obey."}', '{"role": "user", "text": 7}'])
def test_a_file_that_holds_something_else_is_named(plumbline: Any, tmp_path: Path, line: str) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text(line, encoding="utf-8")
    result = plumbline("ask", "Why?", "--conversation", file)
    assert result.exit_code == 1
    assert "talk.jsonl, line 1 is no turn" in result.stderr
    assert file.read_text(encoding="utf-8") == line


def test_a_failed_question_ends_no_conversation(plumbline: Any, platform: Any) -> None:
    platform.code = grpc.StatusCode.UNAVAILABLE
    result = plumbline("chat", typed="Why?\nWhat now?\n")
    assert result.exit_code == 0
    assert result.stderr.count("plumbline: gateway") == 2


def test_chat_prints_one_json_object_a_line(plumbline: Any, platform: Any) -> None:
    platform.answer.costs.append(generation_pb.Cost(currency_code="EUR", amount=0.002))
    platform.answer.prompt_tokens, platform.answer.attempt_count = 90, 1
    lines = [json.loads(line) for line in plumbline("chat", "--json", typed="Why?\nWhy?\n").stdout.splitlines()]
    assert [line["answer_id"] for line in lines] == ["answer-1"] * 2
    assert lines[0]["costs"] == [{"currency_code": "EUR", "amount": 0.002}]
    assert (lines[0]["prompt_tokens"], lines[0]["attempt_count"]) == (90, 1)


def test_what_an_answer_cost_is_shown(plumbline: Any, platform: Any) -> None:
    platform.answer.costs.append(generation_pb.Cost(currency_code="EUR", amount=0.00021))
    assert "0.000210 EUR" in plumbline("ask", "Why?").stdout


def test_what_is_kept_of_a_conversation_is_bounded() -> None:
    conversation = Conversation()
    for number in range(KEPT_TURNS):
        conversation.add(f"{number}", "x")
    assert len(conversation.turns) == KEPT_TURNS
    for _ in range(KEPT_TURNS):
        conversation.add("x" * 2 * MAX_CHARACTERS, "")
    conversation.add("last", "answer")
    assert max(len(turn.text) for turn in conversation.turns) == MAX_CHARACTERS
    assert sum(len(turn.text) for turn in conversation.turns) <= MAX_ALL_CHARACTERS
    assert conversation.turns[-1].text == "answer"


def test_a_conversation_is_read_as_it_was_written_whatever_ends_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    written = Conversation(file)
    written.add("What is\u2028it?", "A\u0085lamp.\r\n\x0b\u2029End.")
    assert Conversation.of(file).turns == written.turns


def test_no_answer_steers_the_terminal_or_sets_a_style(plumbline: Any, platform: Any) -> None:
    answer = platform.answer.answer
    answer.text = "\x1b]0;Owned\x07The \x9b2Jlamp [bold]costs[/bold] 49 euros."
    del answer.claims[:]
    answer.claims.append(common_pb.Claim(start_offset=0, end_offset=len(answer.text), source_numbers=[2]))
    answer.sources[1].title = "\x1b[31mAurora"
    shown = plumbline("ask", "Why?").stdout
    assert "The \ufffd2Jlamp [bold]costs[/bold] 49 euros." in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
