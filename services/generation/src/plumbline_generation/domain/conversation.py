"""What was said before a question, and what becomes of the question."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from plumbline_kit.errors import Invalid

MAX_QUESTION_CHARACTERS: Final = 8_000
MAX_TURNS: Final = 100
MAX_TURN_CHARACTERS: Final = 8_000
MAX_CONVERSATION_CHARACTERS: Final = 100_000


class Role(Enum):
    """Who is said to have said something."""

    USER = "user"
    ASSISTANT = "assistant"


class Method(Enum):
    """How a question came to stand alone."""

    UNCHANGED = "unchanged"
    RULE = "rule"
    MODEL = "model"
    JOINED = "joined"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as the caller tells it. Its text is data, whoever's it is."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A question and what was said before it, oldest first. Raises `Invalid` where it is empty or too large."""

    turns: tuple[Turn, ...]
    question: str

    def __post_init__(self) -> None:
        _check("question", self.question, MAX_QUESTION_CHARACTERS)
        if len(self.turns) > MAX_TURNS:
            raise Invalid.field("turns", f"has {len(self.turns)} entries; at most {MAX_TURNS} are allowed")
        for number, turn in enumerate(self.turns):
            _check(f"turns[{number}].text", turn.text, MAX_TURN_CHARACTERS)
        size = sum(len(turn.text) for turn in self.turns)
        if size > MAX_CONVERSATION_CHARACTERS:
            raise Invalid.field(
                "turns", f"have {size:,} characters; at most {MAX_CONVERSATION_CHARACTERS:,} are allowed"
            )

    def last(self, count: int) -> "Conversation":
        """The same question after the last *count* turns only."""
        return Conversation(self.turns[-count:] if count else (), self.question)


@dataclass(frozen=True, slots=True)
class Condensation:
    """A question before and after. Unless *method* is `UNCHANGED`, *standalone* holds what earlier turns said."""

    original: str
    standalone: str
    method: Method
    reason: str = ""
    """Why a better method did not serve; empty otherwise."""
    conversation: str = ""
    """Whose state the caller says it was asked in; nothing here looks inside."""


def _check(name: str, text: str, most: int) -> None:
    if not text.strip():
        raise Invalid.field(name, "is empty")
    if len(text) > most:
        raise Invalid.field(name, f"has {len(text):,} characters; at most {most:,} are allowed")
    if "\0" in text:
        raise Invalid.field(name, "holds a NUL character")
