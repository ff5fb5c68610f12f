"""A conversation as a model may read it: without the values that are hidden in questions."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from plumbline_generation.domain.conversation import Condensation, Conversation
from plumbline_guards.findings import Kind
from plumbline_guards.placeholders import Placeholders, Restorer, reserved
from plumbline_guards.scanner import scan


@dataclass(frozen=True, slots=True)
class Veiled:
    """A conversation with placeholders, and the values that they stand for."""

    conversation: Conversation
    values: Mapping[str, str]

    def unveiled(self, condensation: Condensation, original: str) -> Condensation:
        """What came of it, with the values put back, beside the question as it was asked."""
        restorer = Restorer(self.values)
        standalone = restorer.take(condensation.standalone) + restorer.finish()
        return replace(condensation, original=original, standalone=standalone)


def veiled(conversation: Conversation, hidden: Set[Kind]) -> Veiled:
    """*conversation* without values of the *hidden* kinds; the same value has the same placeholder in every turn."""
    names = Placeholders(reserved((conversation.question, *(turn.text for turn in conversation.turns))))

    def hide(text: str) -> str:
        # Cut: a placeholder may be longer than its value, and no turn may be longer than a turn may be.
        return names.hide(text, scan(text), lambda kind, _: kind in hidden).text[: len(text)]

    turns = tuple(replace(turn, text=hide(turn.text)) for turn in conversation.turns)
    return Veiled(replace(conversation, turns=turns, question=hide(conversation.question)), names.values)
