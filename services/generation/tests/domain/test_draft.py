"""What is kept of a text."""

import pytest

from plumbline_generation.domain.answer import Outcome
from plumbline_generation.domain.draft import complete_sentences, rescue, settle
from plumbline_generation.testing import a_passage

PASSAGES = (a_passage(),)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It costs 49 euros. It is ma", "It costs 49 euros."),
        ("It costs 49 euros.", "It costs 49 euros."),
        ('He said "yes." And', 'He said "yes."'),
        ("It weighs 1.", ""),
        ("It is red. It weighs 1.", "It is red."),
        ("Is it red?", "Is it red?"),
        ("It is", ""),
        ("", ""),
    ],
)
def test_only_complete_sentences_are_kept(text: str, kept: str) -> None:
    assert complete_sentences(text) == kept


def test_a_text_that_ended_by_itself_stays_as_it_is() -> None:
    assert settle("49 euros", (), ended_itself=True).text == "49 euros"


def test_a_text_that_was_cut_off_loses_its_unfinished_sentence_unless_that_is_all() -> None:
    assert settle("It is red. It co", (), ended_itself=False).text == "It is red."
    assert settle("It co", (), ended_itself=False).text == "It co"


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "I do not know the price.",
        "I\u2019m sorry, but I cannot answer this.",
        "The passages do not mention a price.",
        "The context provided does not say.",
        "There is no information about this.",
        "Unfortunately, the document doesn't specify it.",
    ],
)
def test_a_model_that_does_not_know_refuses(text: str) -> None:
    draft = settle(text, (), ended_itself=True)
    assert draft.outcome is Outcome.REFUSED
    assert draft.reason
    assert draft.answer(PASSAGES, 0.6).claims == ()


@pytest.mark.parametrize(
    "text",
    ["The lamp does not need batteries.", "It is not sold in stores.", "The document is valid.", "I know: 49 euros."],
)
def test_a_model_that_denies_something_answers(text: str) -> None:
    assert settle(text, (), ended_itself=True).outcome is Outcome.ANSWERED


def test_what_a_broken_model_finished_is_kept() -> None:
    draft = rescue("The lamp is red. It co", (), "broke off", "How much?", PASSAGES)
    assert (draft.text, draft.outcome, draft.by_model, draft.reason) == (
        "The lamp is red.",
        Outcome.DEGRADED,
        True,
        "broke off",
    )


def test_without_a_finished_sentence_the_passages_speak() -> None:
    draft = rescue("The lamp co", (), "broke off", "How much does the lamp cost?", PASSAGES)
    assert draft.text.startswith("The Aurora desk lamp costs 49 euros.")
    assert not draft.by_model
    assert draft.answer(PASSAGES, 0.6).claims[0].source_numbers == (1,)
