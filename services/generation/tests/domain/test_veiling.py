"""Conversations without the values that are hidden in questions."""

from plumbline_generation.domain.conversation import Condensation, Conversation, Method, Role, Turn
from plumbline_generation.domain.screening import HIDDEN_IN_QUESTIONS
from plumbline_generation.domain.veiling import veiled

CARD = "4111 1111 1111 1111"


def test_a_value_has_one_placeholder_in_all_turns_and_comes_back() -> None:
    turns = (Turn(Role.USER, f"I paid with {CARD}."), Turn(Role.ASSISTANT, f"Yes, {CARD} was charged."))
    shown = veiled(Conversation(turns, f"When was {CARD} charged?"), HIDDEN_IN_QUESTIONS)
    texts = [shown.conversation.question, *(turn.text for turn in shown.conversation.turns)]
    assert all("[card-1]" in text and "4111" not in text for text in texts)
    condensation = shown.unveiled(Condensation("", "When was [card-1] charged?", Method.MODEL), "When?")
    assert (condensation.original, condensation.standalone) == ("When?", f"When was {CARD} charged?")


def test_what_looks_like_a_placeholder_is_left_alone() -> None:
    shown = veiled(Conversation((Turn(Role.USER, f"[card-1] and {CARD}"),), "Why?"), HIDDEN_IN_QUESTIONS)
    assert shown.conversation.turns[0].text == "[card-1] and [card-2]"


def test_placeholders_make_no_turn_longer_than_a_turn_may_be() -> None:
    full = f"{'x ' * 3_985}password: abc12"
    turn = Turn(Role.USER, full.ljust(8_000, "."))
    shown = veiled(Conversation((turn,) * 12, "Why?"), HIDDEN_IN_QUESTIONS)
    assert max(len(shown_turn.text) for shown_turn in shown.conversation.turns) <= 8_000
