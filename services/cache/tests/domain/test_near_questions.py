"""What can be said of two questions that lie close together."""

import pytest

from plumbline_cache.domain.sameness import Outcome, compare

LEAST = 0.7


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How do I reset the lamp?", "What is the best way to reset the lamp?"),
        ("What are some good lamps for reading?", "Which are the best lamps for reading?"),
        ("Why is the lamp so warm?", "What is the reason why the lamp is warm?"),
        ("What does the Aurora lamp cost?", "How much does the Aurora lamp cost?"),
        ("What does tare mean?", "What is the meaning of tare?"),
        ("What is the difference between the desk and the table?", "What is the difference between table and desk?"),
        ("How can we clean the website?", "How do I clean the site?"),
    ],
)
def test_near_questions_in_other_words_ask_the_same(a: str, b: str) -> None:
    assert compare(a, b, 0.95).is_same(LEAST)
    assert compare(a, b, 0.95) == compare(b, a, 0.95) or compare(b, a, 0.95).is_same(LEAST)


@pytest.mark.parametrize(
    ("check", "a", "b"),
    [
        ("numbers", "How do I pay the 3 invoices?", "How can I pay the 4 invoices?"),
        ("numbers", "What happened to the shop in 2015?", "What happened to the shop in 2016?"),
        ("signs", "Is the lamp safe at -5 degrees?", "Is the lamp safe at 5 degrees?"),
        ("negation", "Why does the lamp work?", "Why doesn't the lamp work?"),
        ("polarity", "How do I increase the light?", "How can I decrease the light?"),
        ("polarity", "What are the advantages of oak?", "What are the disadvantages of oak?"),
        ("polarity", "Are all lamps made of oak?", "Are some lamps made of oak?"),
        ("names", "What does the Aurora cost?", "What does the Borealis cost?"),
        ("form", "When do you deliver lamps?", "Where do you deliver lamps?"),
        ("direction", "Can I return it before Easter?", "Can I return it after Easter?"),
        ("direction", "How do I get from the station?", "How do I get to the station?"),
        ("roles", "How do I convert euros to dollars?", "How can I convert dollars to euros?"),
        ("roles", "Does the dog bite the man?", "Does the man bite the dog?"),
        ("time", "Who is the owner of the shop?", "Who was the owner of the shop?"),
        ("modal", "Should I oil the desk?", "Can I oil the desk?"),
        ("pointing", "What is the price of this lamp?", "What is the price of a lamp?"),
        ("pointing", "How do I fix this lamp?", "How can I fix this lamp?"),
        ("endings", "What is integral?", "What is integrity?"),
        ("endings", "Who is the administrator?", "Who is the administration?"),
        ("form", "What is a dimmer?", "What does a dimmer do?"),
        ("whose", "Where is my parcel?", "Where is your parcel?"),
        ("modal", "Should I oil the desk?", "Do I oil the desk?"),
        ("words", "How do I clean the desk?", "How do I clean the oak desk?"),
        ("words", "How do I clean the lamp?", "How do I clean the desk?"),
    ],
)
def test_what_turns_the_answer_differs_however_near_the_questions_are(check: str, a: str, b: str) -> None:
    for comparison in (compare(a, b, 1.0), compare(b, a, 1.0)):
        assert not comparison.is_same(LEAST)
        assert check in {each.name for each in comparison.checks if each.outcome is Outcome.DIFFERS}


LAMP = "What does the Aurora lamp do?"


@pytest.mark.parametrize(
    "other",
    [
        "Please tell me: What does the Aurora lamp do?",
        "Please, what does the Aurora lamp do?",
        "What does the Aurora lamp do, please?",
        "Hello, what does the Aurora lamp do?",
        "What does the Aurora lamp do? Thanks",
        "What does the Aurora lamp do?  Thank you.",
        "Tell me what does the Aurora lamp do?",
    ],
)
def test_courtesy_asks_for_nothing(other: str) -> None:
    assert compare(LAMP, other, 0.95).is_same(0.9)
    assert compare(other, LAMP, 0.95).is_same(0.9)


@pytest.mark.parametrize("more", ["What else?", "Where?", "Thanks, but why?", "My desk is from you."])
def test_another_sentence_that_asks_or_tells_something_is_no_courtesy(more: str) -> None:
    assert not compare(LAMP, f"{LAMP} {more}", 0.99).is_same(0.01)


def test_what_differs_is_told_in_words_of_the_questions() -> None:
    comparison = compare("How do I pay the 3 invoices?", "How can I pay the 4 invoices?", 0.99)
    [numbers] = [check for check in comparison.checks if check.name == "numbers"]
    assert numbers.detail == "3 / 4"


def test_one_word_more_needs_nearer_questions_than_other_words_for_the_same() -> None:
    more = [
        compare("What are the causes of rust?", "What are the main causes of rust?", at).certainty
        for at in (0.85, 0.99)
    ]
    same = [
        compare("What are the causes of rust?", "Which are the causes of rust?", at).certainty for at in (0.85, 0.99)
    ]
    assert more[0] < LEAST <= more[1]
    assert same[0] > more[0]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Was kostet die Lampe und wie ist sie?", "Wie viel kostet die Lampe und wie ist sie?"),
        ("¿Cuál es la mejor lámpara para leer?", "¿Qué lámpara es la mejor para leer?"),
    ],
)
def test_in_other_languages_all_words_have_to_be_equal(a: str, b: str) -> None:
    assert not compare(a, b, 1.0).is_same(0.01)
    assert compare(a, a.lower(), 0.9).is_same(1.0)


def test_at_a_certainty_of_one_all_words_of_weight_have_to_be_equal() -> None:
    assert compare("What does the lamp cost?", "Please, what does the lamp cost?", 0.9).is_same(1.0)
    assert not compare("How do I reset the lamp?", "What is the best way to reset the lamp?", 1.0).is_same(1.0)


def test_a_long_text_is_compared_word_by_word() -> None:
    story = "The lamp fell from the desk. " * 20
    assert not compare(f"{story} How do I fix it?", f"{story} What is the best way to fix it?", 1.0).is_same(0.01)
