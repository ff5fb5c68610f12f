"""Whose questions are nobody else's."""

import pytest

from plumbline_cache.domain.shareable import has_hidden, has_personal_data


@pytest.mark.parametrize(
    "question",
    [
        "Why did anna.schmidt@example.org get no invoice?",
        "Call me back on +49 30 901820, please?",
        "Was card 4111 1111 1111 1111 charged twice?",
        "Is DE89 3704 0044 0532 0130 00 the right account?",
        "Does password=hunter2secret! still work?",
    ],
)
def test_a_question_with_personal_data_is_found(question: str) -> None:
    assert has_personal_data(question)


@pytest.mark.parametrize(
    "question",
    ["What does the lamp cost?", "How do I reset my password?", "What happened in 1984?", "Is 1,299.00 the price?"],
)
def test_an_ordinary_question_holds_neither(question: str) -> None:
    assert not has_personal_data(question)
    assert not has_hidden(question)


@pytest.mark.parametrize("unseen", ["\u202e", "\u200b", "\x00", "\x1b", "\U000e0049\U000e0067", "\u2066", "\ufeff"])
def test_what_is_not_seen_is_found(unseen: str) -> None:
    assert has_hidden(f"What does the lamp cost?{unseen}")


def test_joiners_and_lines_are_part_of_a_text() -> None:
    assert not has_hidden("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\n\u0628\u062f\u0627\u0646\u0645\t?")
