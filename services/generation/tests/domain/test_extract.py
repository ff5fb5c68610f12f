"""An answer without a model."""

from plumbline_generation.domain.extract import extract
from plumbline_generation.testing import a_passage

LAMP = a_passage("# Aurora desk lamp\n\nIt is made of steel. It costs 49 euros [1].\nIt weighs 1.2 kilograms.")
CLOCK = a_passage("It runs on a battery. It costs 52 euros.", "Meridian clock")


def test_the_sentences_nearest_to_the_question_come_in_their_order() -> None:
    assert extract("How much does the Aurora lamp cost, and is it steel?", (CLOCK, LAMP)) == (
        "It is made of steel. It costs 49 euros."
    )


def test_the_title_decides_between_equal_sentences() -> None:
    assert extract("What does the Meridian clock cost?", (LAMP, CLOCK)).endswith("It costs 52 euros.")


def test_without_a_common_word_the_best_passage_speaks() -> None:
    assert extract("Warum?", (CLOCK, LAMP)) == "It runs on a battery. It costs 52 euros."


def test_a_sentence_over_several_lines_becomes_one() -> None:
    assert extract("red", (a_passage("It is\nred and\nround."),)) == "It is red and round."
