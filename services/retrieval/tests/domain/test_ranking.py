"""How rankings become one, and what else counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from plumbline_retrieval.domain.document import Found, Passage, PassageRef
from plumbline_retrieval.domain.ranking import Hit, Preferences, Ranked, covering, distinct, diverse, fuse, preferred
from plumbline_retrieval.domain.source import Source, Trust

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCES = {"law": Source("law", trust=Trust.HIGH), "wiki": Source("wiki"), "forum": Source("forum", trust=Trust.LOW)}


def fused(dense: Any, sparse: Any) -> list[tuple[str, float]]:
    return fuse([Ranked(dense, sparse)])


def found(
    document: str, score: float, *, source: str = "wiki", text: str = "", days: int = 0, title: str = ""
) -> Found:
    passage = Passage(0, 0, 1, text or document)
    ref = PassageRef(document, 1, passage.hash)
    return Found(ref, title, "", passage, source, NOON - timedelta(days=days), passage.words(title), score)


def hits(*found: Found) -> list[Hit]:
    return [(each, each.score) for each in found]


def names(ordered: list[Hit]) -> list[str]:
    return [found.ref.document_id for found, _ in ordered]


def test_scores_are_stretched_over_each_list_and_weighed() -> None:
    dense = [("a", 0.9), ("b", 0.7), ("c", 0.5)]
    sparse = [("b", 12.0), ("d", 8.0), ("a", 4.0)]
    assert fused(dense, sparse) == [
        ("a", pytest.approx(0.7)),
        ("b", pytest.approx(0.7 * 0.5 + 0.3)),
        ("d", pytest.approx(0.3 * 0.5)),
        ("c", pytest.approx(0.0)),
    ]


def test_what_both_lists_put_first_scores_one() -> None:
    assert fused([("a", 0.9), ("b", 0.1)], [("a", 3.0), ("b", 1.0)])[0] == ("a", pytest.approx(1.0))


def test_a_list_without_differences_counts_in_full() -> None:
    assert fused([("a", 0.3)], [("a", 2.0), ("b", 2.0)]) == [("a", pytest.approx(1.0)), ("b", pytest.approx(0.3))]


def test_an_empty_list_leaves_the_other() -> None:
    assert fused([("a", 0.9), ("b", 0.2)], []) == [("a", pytest.approx(0.7)), ("b", 0.0)]
    assert fused([], []) == []


def test_equal_scores_keep_one_order() -> None:
    assert fused([("b", 1.0), ("a", 1.0)], []) == fused([("a", 1.0), ("b", 1.0)], [])


def test_what_fits_every_wording_goes_before_what_fits_one() -> None:
    first = Ranked([("a", 1.0), ("b", 0.9), ("z", 0.0)], [])
    second = Ranked([("c", 1.0), ("b", 0.9), ("z", 0.0)], [])
    assert [name for name, _ in fuse([first, second])] == ["b", "a", "c", "z"]


def test_a_trusted_source_wins_where_passages_fit_alike() -> None:
    alike = hits(found("forum", 0.80, source="forum"), found("wiki", 0.79), found("law", 0.78, source="law"))
    assert names(preferred(alike, "", SOURCES, Preferences(trust_weight=0.1), NOON)) == ["law", "wiki", "forum"]
    assert names(preferred(alike, "", SOURCES, Preferences(trust_weight=0), NOON)) == ["forum", "wiki", "law"]


def test_age_counts_where_it_is_told_to() -> None:
    pair = hits(found("old", 0.9, days=10), found("new", 0.5))
    assert names(preferred(pair, "", {}, Preferences(), NOON)) == ["old", "new"]
    assert names(preferred(pair, "", {}, Preferences(half_life=timedelta(days=10)), NOON)) == ["new", "old"]


def test_a_fact_about_the_subject_asked_for_goes_before_a_page() -> None:
    page, fact = found("lamp.md", 0.95), found("facts/aurora lamp/price", 0.6, title="Aurora lamp")
    assert (
        names(preferred(hits(page, fact), "What does the Aurora lamp cost?", {}, Preferences(), NOON))[0]
        == fact.ref.document_id
    )
    assert names(preferred(hits(page, fact), "What does the Fjord desk cost?", {}, Preferences(), NOON))[0] == "lamp.md"


def test_a_copied_passage_is_found_once() -> None:
    assert names(distinct(hits(found("a", 0.9, text="same"), found("b", 0.8), found("c", 0.7, text="same")))) == [
        "a",
        "b",
    ]


def test_diversity_takes_another_subject_before_more_of_the_same() -> None:
    three = hits(found("a", 1.0), found("like a", 0.95), found("other", 0.6))
    vectors = np.array([[1, 0], [0.99, 0.14], [0, 1]], np.float32)
    assert names(diverse(three, vectors, 0.5, 2)) == ["a", "other"]
    assert names(diverse(three, vectors, 0.0, 9)) == ["a", "like a", "other"]


def test_a_passage_that_holds_the_questions_words_side_by_side_goes_first() -> None:
    question = "How long is the return period?"
    one = found("one", 0.6, text="The period of return to work is long.")
    both = found("both", 0.6, text="The return period is 30 days long.")
    none = found("none", 0.7, text="Lamps are made in Porto.")
    assert names(covering(hits(none, one, both), question)) == ["both", "one", "none"]


def test_a_question_without_content_words_leaves_the_order() -> None:
    assert names(covering(hits(found("a", 0.6), found("b", 0.5)), "What is it?")) == ["a", "b"]
