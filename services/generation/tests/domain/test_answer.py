"""What may be asked."""

import uuid

import pytest

from plumbline_generation.domain.answer import Assignment
from plumbline_kit.errors import Invalid

ID = str(uuid.uuid4())


@pytest.mark.parametrize(
    ("answer_id", "question", "field"),
    [
        (ID, "", "question"),
        (ID, " \n", "question"),
        (ID, "x" * 8_001, "question"),
        (ID, "nul\0", "question"),
        ("", "Why?", "answer_id"),
        ("answer-1", "Why?", "answer_id"),
        (ID.replace("-", ""), "Why?", "answer_id"),
    ],
    ids=["empty", "blank", "too long", "nul", "no id", "no uuid", "not canonical"],
)
def test_a_wrong_assignment_names_its_field(answer_id: str, question: str, field: str) -> None:
    with pytest.raises(Invalid) as failure:
        Assignment(answer_id, question, (), "default", "r1")
    assert failure.value.violations[0].field == field


def test_a_question_of_eight_thousand_characters_is_welcome() -> None:
    assert Assignment(ID.upper(), "x" * 8_000, (), "default", "r1")
