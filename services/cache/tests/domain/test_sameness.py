"""Whether two questions ask the same thing."""

import pytest

from plumbline_cache.domain.sameness import asks_the_same


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("What does the Aurora lamp cost?", "what does the aurora lamp cost"),
        ("What is the price of the Aurora lamp?", "What's the Aurora lamp price?"),
        ("Hello, could you tell me what the Aurora lamp costs?", "What does the Aurora lamp cost?"),
        ("How long is the warranty?", "Please, how long is the warranty? Thanks!"),
        ("Can't I return it?", "Can not I return it?"),
        ("Don\N{RIGHT SINGLE QUOTATION MARK}t you ship abroad?", "Don't you ship abroad?"),
        ("Does it cost 1,299.00 euros?", "Does it cost 1299 euros?"),
    ],
)
def test_questions_that_differ_in_no_word_of_weight_ask_the_same(a: str, b: str) -> None:
    assert asks_the_same(a, b)
    assert asks_the_same(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param("Is it open at 9?", "Is it open at 8?", id="number"),
        pytest.param("Does it cost 12.99 euros?", "Does it cost 1299 euros?", id="decimal_point"),
        pytest.param("Is it colder than -5 degrees?", "Is it colder than 5 degrees?", id="sign"),
        pytest.param("Is 5% off?", "Is 5€ off?", id="unit"),
        pytest.param("Can I return it?", "Can I not return it?", id="negation"),
        pytest.param("Do you ship abroad?", "Don't you ship abroad?", id="contracted_negation"),
        pytest.param("Does it work with batteries?", "Does it work without batteries?", id="without"),
        pytest.param("What does the Aurora lamp cost?", "What does the Borealis lamp cost?", id="name"),
        pytest.param("Can I return a lamp?", "Can I return a used lamp?", id="word_more"),
        pytest.param("Is the lamp cheaper than the desk?", "Is the desk cheaper than the lamp?", id="sides_of_than"),
        pytest.param("Who is the owner of the dog?", "Who is the dog of the owner?", id="sides_of_of"),
        pytest.param("Trains from Paris to Rome", "Trains from Rome to Paris", id="direction"),
        pytest.param("Does the dog bite the man?", "Does the man bite the dog?", id="who_does_it"),
        pytest.param("When was the shop founded?", "Where was the shop founded?", id="question_word"),
        pytest.param("What is the price?", "What was the price?", id="time"),
        pytest.param("How much is a T-shirt?", "How much is a shirt?", id="half_of_a_compound"),
        pytest.param("What is C?", "What is C++?", id="symbol"),
        pytest.param("Must I register it?", "Can I register it?", id="modal"),
    ],
)
def test_questions_that_may_have_different_answers_do_not(a: str, b: str) -> None:
    assert not asks_the_same(a, b)
    assert not asks_the_same(b, a)
