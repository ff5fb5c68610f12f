"""How likely passages hold an answer."""

from datetime import UTC, datetime

from plumbline_retrieval.domain.document import Found, Passage, PassageRef
from plumbline_retrieval.domain.ranking import Ranked
from plumbline_retrieval.domain.support import support

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSAGE = Passage(0, 0, 24, "The lamp costs 12 euros.")
FOUND = [Found(PassageRef("lamp", 1, PASSAGE.hash), "", "", PASSAGE, "default", NOON, PASSAGE.words(""))]


def at(cosine: float, question: str = "What does the lamp cost?") -> float:
    return support(question, Ranked([("a", cosine)], []), FOUND)


def test_a_near_passage_supports_more_than_a_far_one() -> None:
    assert at(0.9) > 0.8 > 0.5 > at(0.3) > 0


def test_shared_words_count_too() -> None:
    assert at(0.6) > at(0.6, "Who founded the bank?")


def test_nothing_found_supports_nothing() -> None:
    assert support("What?", Ranked([], []), []) == 0.0
    assert 0 < at(0.5, "What is it?") < 1
