"""How likely passages hold an answer."""

from dataclasses import replace

import pytest

from plumbline_models.answerability import PASSAGES, Read, Weights, answerability, measures

QUESTION = "How much does the Aurora desk lamp cost?"
LAMP = Read("Aurora desk lamp", "The Aurora desk lamp costs 49 euros. It weighs 1.2 kilograms.", 0.8)
STORES = Read("Our stores", "Our stores in Oslo open at nine. They close at six.", 0.1)


def test_the_nearer_and_the_more_of_its_words_the_likelier() -> None:
    near, far = answerability(QUESTION, [LAMP]), answerability(QUESTION, [replace(LAMP, similarity=0.4)])
    assert near > 0.8
    assert near > far > answerability(QUESTION, [replace(STORES, similarity=0.4)])


def test_one_passage_that_answers_is_enough() -> None:
    assert answerability(QUESTION, [LAMP, STORES, STORES]) == answerability(QUESTION, [LAMP])
    assert answerability(QUESTION, [STORES, LAMP]) > answerability(QUESTION, [STORES])


def test_where_nothing_compared_vectors_words_decide() -> None:
    bare = replace(LAMP, similarity=None)
    assert answerability(QUESTION, [bare]) > 0.5 > answerability("Who won the cup in Oslo?", [bare])
    assert answerability(QUESTION, [bare]) != answerability(QUESTION, [replace(bare, similarity=0.0)])


def test_a_passage_that_was_found_by_its_words_alone_is_as_near_as_the_farthest() -> None:
    bare = replace(LAMP, similarity=None)
    assert answerability(QUESTION, [bare, STORES]) == answerability(QUESTION, [replace(LAMP, similarity=0.1), STORES])


def test_without_passages_there_is_no_answer() -> None:
    assert answerability(QUESTION, []) == 0.0


def test_only_the_best_few_are_looked_at() -> None:
    assert answerability(QUESTION, [STORES] * PASSAGES + [LAMP]) == answerability(QUESTION, [STORES] * PASSAGES)


@pytest.mark.parametrize("question", ["", "?", "what is it", "\u4ec0\u4e48\u662f\u706f\uff1f", "word " * 2_000])
@pytest.mark.parametrize("text", ["", "...", "\u706f\u306f\u9ad8\u3044\u3002", "The lamp. " * 500])
def test_any_text_has_a_probability(question: str, text: str) -> None:
    for similarity in (None, -1.0, 0.0, 1.0):
        assert 0 <= answerability(question, [Read("", text, similarity)]) <= 1


def test_words_are_measured_where_they_stand() -> None:
    passage = Read("Lamp", "The desk is grey. The lamp costs 49 euros. It is sold in Oslo.", 0.5)
    found = measures("desk lamp Oslo", [passage])
    assert found["held_by_text"] == 1.0
    assert found["held_by_window"] == pytest.approx(2 / 3)
    assert found["held_by_lead"] == pytest.approx(2 / 3)
    assert found["pairs"] == 0.0
    assert found["first"] == found["nearest"] == 0.5


def test_extreme_weights_give_no_error() -> None:
    assert Weights(-2_000.0, {"length": 1.0}).probability({"length": 0.0}) == 0.0
    assert Weights(2_000.0, {}).probability({}) == 1.0
