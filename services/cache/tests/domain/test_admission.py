"""Which answers may become entries."""

from collections.abc import Callable
from typing import Any

import pytest

from plumbline_cache.domain.admission import Refusal

Make = Callable[..., Any]
SOURCE = ("prices", 1, "h1")


def test_an_answer_that_passed_and_has_sources_may_be_kept(candidate: Make) -> None:
    assert candidate("q", SOURCE).refusal("default", "r1") is None


@pytest.mark.parametrize(
    ("fields", "sources", "release", "refusal"),
    [
        pytest.param({"passed": False}, [SOURCE], "r1", Refusal.NOT_PASSED, id="failed"),
        pytest.param({"answered": False}, [SOURCE], "r1", Refusal.NOT_ANSWERED, id="refused"),
        pytest.param({"redacted": True}, [SOURCE], "r1", Refusal.REDACTED, id="redacted"),
        pytest.param({"structured": True}, [SOURCE], "r1", Refusal.STRUCTURED, id="structured"),
        pytest.param({}, [], "r1", Refusal.NO_SOURCES, id="no_sources"),
        pytest.param(
            {"of_unknown_conversation": True}, [SOURCE], "r1", Refusal.FROM_CONVERSATION, id="of_unknown_conversation"
        ),
        pytest.param({}, [SOURCE], "r2", Refusal.OTHER_RELEASE, id="other_release"),
    ],
)
def test_other_answers_are_refused(
    candidate: Make, fields: dict[str, bool], sources: list[tuple[str, int, str]], release: str, refusal: Refusal
) -> None:
    assert candidate("q", *sources, **fields).refusal("default", release) is refusal


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        ("Why did anna.schmidt@example.org get no invoice?", Refusal.PERSONAL_DATA),
        ("What does the lamp cost?\U000e0049\U000e0067", Refusal.HIDDEN_TEXT),
        ("Where is my order?", Refusal.NEVER_CACHED),
    ],
)
def test_what_a_question_says_of_somebody_of_now_or_unseen_is_kept_for_nobody(
    candidate: Make, question: str, refusal: Refusal
) -> None:
    assert candidate(question, SOURCE).refusal("default", "r1") is refusal
