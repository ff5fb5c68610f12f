"""The rule that makes a question stand alone."""

import pytest

from plumbline_generation.domain.condensing import MAX_JOINED_CHARACTERS, NOT_ENGLISH, by_rule, joined, leans
from plumbline_generation.domain.conversation import MAX_QUESTION_CHARACTERS, Conversation, Method, Role, Turn
from plumbline_kit.errors import Invalid


def after(*said: str, question: str) -> Conversation:
    """A conversation in which user and assistant took turns, the user first."""
    roles = (Role.USER, Role.ASSISTANT)
    return Conversation(tuple(Turn(roles[number % 2], text) for number, text in enumerate(said)), question)


LAMP = ("How much does the Aurora desk lamp cost?", "It costs 49 euros and comes with a warranty.")


@pytest.mark.parametrize(
    "question",
    [
        "How heavy is it?",
        "And in Berlin?",
        "What about the warranty for business customers in Austria?",
        "Do they deliver to islands?",
        "Fees?",
        "I meant the one that was sold before the summer sale",
        "Does the annual maintenance contract cover water damage too?",
    ],
)
def test_a_question_leans_on_what_was_said(question: str) -> None:
    assert leans(question)


@pytest.mark.parametrize(
    "question",
    [
        "How much does the Borealis office chair weigh?",
        "What is a reverse mortgage loan and how does it work?",
        "Which documents does the tax office want from new residents?",
    ],
)
def test_a_question_stands_alone(question: str) -> None:
    assert not leans(question)


def test_names_and_words_of_earlier_turns_are_put_before_a_question_that_leans() -> None:
    condensed = by_rule(after(*LAMP, question="How heavy is it?"))
    assert condensed.method is Method.RULE
    assert condensed.standalone.endswith(": How heavy is it?")
    assert {"Aurora", "desk", "lamp"} <= set(condensed.standalone.split(":")[0].split())
    assert condensed.original == "How heavy is it?"


def test_what_was_said_last_goes_before_what_was_said_long_ago() -> None:
    condensed = by_rule(after(*LAMP, "Is the Borealis chair in stock?", "Yes.", question="How heavy is it?"))
    assert {"Borealis", "chair"} <= set(condensed.standalone.split(":")[0].split())
    assert "Aurora" not in condensed.standalone or "Borealis" in condensed.standalone


def test_courtesies_between_do_not_hide_what_is_talked_about() -> None:
    condensed = by_rule(after(*LAMP, "Thank you, great!", "You are welcome.", question="How heavy is it?"))
    assert "Aurora" in condensed.standalone


@pytest.mark.parametrize(
    "conversation",
    [
        after(question="How heavy is it?"),
        after(*LAMP, question="How much does the Borealis office chair weigh?"),
        after("Thanks!", "See you.", question="How heavy is it?"),
    ],
    ids=["no turns", "stands alone", "nothing was said"],
)
def test_a_question_stays_as_it_was_where_there_is_nothing_to_bring_in(conversation: Conversation) -> None:
    condensed = by_rule(conversation)
    assert (condensed.standalone, condensed.method) == (conversation.question, Method.UNCHANGED)


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("Was kostet die Schreibtischlampe Aurora?", "Und wie schwer ist die Lampe?"),
        ("¿Cuánto cuesta la lámpara Aurora?", "¿Y cuánto pesa?"),
        ("オーロラのランプはいくらですか", "重さは"),
    ],
)
def test_a_question_in_another_language_comes_after_the_turn_before_it(said: str, question: str) -> None:
    condensed = by_rule(after(said, "49 €", question=question))
    assert (condensed.standalone, condensed.method) == (f"{said} {question}", Method.JOINED)
    assert condensed.reason == NOT_ENGLISH


def test_a_long_turn_is_cut_before_it_is_joined() -> None:
    conversation = after("x" * 8_000, "Yes.", question="Why?")
    assert len(joined(conversation, "").standalone) == MAX_JOINED_CHARACTERS + len(" Why?")
    full = after("Why not?", "No.", question="why " * (MAX_QUESTION_CHARACTERS // 4))
    assert joined(full, "").method is Method.UNCHANGED


@pytest.mark.parametrize("question", ["it " * 2_666, "why " * 2_000], ids=["leans", "long"])
def test_the_rules_question_is_no_longer_than_a_question_may_be(question: str) -> None:
    assert len(by_rule(after(*LAMP, question=question)).standalone) <= MAX_QUESTION_CHARACTERS


@pytest.mark.parametrize(
    ("turns", "field"),
    [
        ((Turn(Role.USER, "\n"),), "turns"),
        ((Turn(Role.USER, "x" * 8_001),), "8,001"),
        ((Turn(Role.ASSISTANT, "a\0"),), "NUL"),
        ((Turn(Role.USER, "x"),) * 101, "101"),
        ((Turn(Role.USER, "x" * 8_000),) * 13, "104,000"),
    ],
    ids=["empty", "long", "nul", "many", "large"],
)
def test_a_conversation_that_is_empty_or_too_large_is_refused(turns: tuple[Turn, ...], field: str) -> None:
    with pytest.raises(Invalid, match=field):
        Conversation(turns, "Why?")


def test_only_the_last_turns_are_looked_at() -> None:
    conversation = after(*LAMP, "Hello", "Hi", question="How heavy is it?")
    assert [turn.text for turn in conversation.last(2).turns] == ["Hello", "Hi"]
    assert conversation.last(0).turns == ()
