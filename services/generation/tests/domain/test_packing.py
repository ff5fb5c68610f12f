"""Which passages the model reads."""

import pytest

from plumbline_generation.domain.packing import FRAME_TOKENS, pack
from plumbline_generation.testing import a_passage, words

LONG = "One two three four five. Six seven eight nine ten. Eleven twelve thirteen."


def texts(*passages: str, budget: int) -> list[str]:
    found = [a_passage(text, title="T", document_id=str(n)) for n, text in enumerate(passages)]
    return [part.text for part in pack(found, budget + FRAME_TOKENS + 1, words)]


def test_passages_enter_in_their_order_while_they_fit() -> None:
    assert texts("A b c.", "D e.", budget=3 + FRAME_TOKENS + 1 + 2) == ["A b c.", "D e."]


@pytest.mark.parametrize(("budget", "kept"), [(13, LONG), (12, LONG[:50]), (10, LONG[:50]), (9, LONG[:24])])
def test_a_later_passage_is_cut_at_the_end_of_a_sentence(budget: int, kept: str) -> None:
    assert texts("First.", LONG, budget=1 + FRAME_TOKENS + 1 + budget) == ["First.", kept]


def test_nothing_comes_after_the_passage_that_did_not_fit() -> None:
    assert texts("First.", LONG, "B.", budget=1 + FRAME_TOKENS + 1 + 4) == ["First."]


def test_the_first_passage_always_enters_if_need_be_cut_inside_its_sentence() -> None:
    assert texts(" ".join(["word"] * 40) + ".", budget=0) == [" ".join(["word"] * 16)]


def test_a_passage_keeps_its_reference_and_its_whole_text_as_a_source() -> None:
    passage = a_passage(f"{LONG} {LONG}")
    [part] = pack([passage], 0, words)
    assert part.text != passage.text
    assert part.passage == passage


def test_passages_without_text_are_left_out() -> None:
    assert texts(" \n", "A.", budget=20) == ["A."]


def test_no_passages_pack_to_nothing() -> None:
    assert pack([], 100, words) == ()
