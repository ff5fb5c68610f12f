"""How far texts say the same."""

from collections import Counter

import pytest

from plumbline_generation.domain.consistency import Consistency, Sample, agreements, similarity


def test_similarity_is_the_f1_of_words() -> None:
    one, other = Counter(["lamp", "cost", "49", "euro"]), Counter(["lamp", "cost", "52"])
    assert similarity(one, other) == similarity(other, one) == pytest.approx(4 / 7)
    assert similarity(one, one) == similarity(Counter(), Counter()) == 1
    assert similarity(one, Counter()) == 0


def test_words_count_as_often_as_they_stand() -> None:
    assert similarity(Counter({"lamp": 3}), Counter({"lamp": 1})) == pytest.approx(0.5)


def test_the_text_that_says_what_the_others_say_agrees_most() -> None:
    texts = ["The lamp costs 49 euros.", "It costs €49.", "The lamp costs 49 EUR today.", "I cannot say."]
    agreed = agreements(texts)
    assert max(agreed) == agreed[0]
    assert min(agreed) == agreed[3] == 0


def test_the_whole_is_the_mean_over_all_pairs() -> None:
    texts = ["lamp euro", "lamp dollar", "clock"]
    samples = tuple(Sample(seed, agreement=agreed) for seed, agreed in enumerate(agreements(texts)))
    assert Consistency(samples, 0).agreement == pytest.approx((0.5 + 0 + 0) / 3)


def test_one_text_agrees_with_nothing() -> None:
    assert Consistency((Sample(1), Sample(2, reason="the model broke off")), 1).agreement is None
