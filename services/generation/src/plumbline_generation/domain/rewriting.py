"""What a model is told so that it makes a question stand alone, and whether what it wrote may be taken for that."""

import re
from dataclasses import dataclass
from typing import Final

from jinja2 import TemplateError

from plumbline_generation.domain.condensing import leans
from plumbline_generation.domain.conversation import MAX_QUESTION_CHARACTERS, Condensation, Conversation, Method, Role
from plumbline_generation.domain.prompt import Prompt
from plumbline_kit.release import ConversationSettings
from plumbline_models.text import content_words, is_number, normalise
from plumbline_prompts.template import data_environment

MAX_TURN_CHARACTERS: Final = 400
"""Of an earlier turn that the model is shown."""
MAX_WRITTEN_CHARACTERS: Final = 500
MAX_TOKENS: Final = 128
"""Of a question: some 500 characters."""
TOO_MUCH: Final = "the model wrote too much"
NEW_SHARE: Final = 0.25
"""The most that a stand-alone question may hold of words that nobody said."""
KEPT_SHARE: Final = 0.5
"""The least that it must hold of the words of the question."""

_LABEL: Final = re.compile(r"^\s*(?:User|Question)\s*:", re.IGNORECASE)
_SPEAKERS: Final = {Role.USER: "User", Role.ASSISTANT: "Assistant"}


@dataclass(frozen=True, slots=True)
class ReadTurn:
    """A turn as the template sees it; its text is put out on one line, as data."""

    speaker: str
    text: str


class RewritingPrompt:
    """A release's prompt for stand-alone questions."""

    def __init__(self, settings: ConversationSettings) -> None:
        """Raises `ValueError` for a template that does not render."""
        environment = data_environment([settings.template])
        self._system = settings.system.strip()
        try:
            self._template = environment.from_string(settings.template)
            self._template.render(turns=[ReadTurn("User", "text")], question="question")
        except TemplateError as error:
            raise ValueError(f"the release's conversation template does not render: {error}") from error

    def render(self, conversation: Conversation) -> Prompt:
        """The prompt; no turn can pose as another, nor as the system's."""
        turns = [ReadTurn(_SPEAKERS[turn.role], turn.text[:MAX_TURN_CHARACTERS]) for turn in conversation.turns]
        user = self._template.render(turns=turns, question=conversation.question).strip()
        return Prompt(self._system, user, temperature=0.0, max_tokens=MAX_TOKENS)


def rewritten(written: str, conversation: Conversation) -> Condensation | str:
    """What the model *written* makes of the question, or why it may not be taken for a question that stands alone."""
    text = _LABEL.sub("", written).strip().strip("\"'\u201c\u201d").strip()
    question = conversation.question
    if flaw := _form_flaw(text, question) or _content_flaw(text, conversation):
        return flaw
    if normalise(text) != normalise(question):
        return Condensation(question, text, Method.MODEL)
    if conversation.turns and leans(question):
        return "the model left a question as it was that does not seem to stand alone"
    return Condensation(question, question, Method.UNCHANGED)


def _form_flaw(text: str, question: str) -> str:
    if not text:
        return "the model wrote nothing"
    if len(text) > min(MAX_QUESTION_CHARACTERS, max(MAX_WRITTEN_CHARACTERS, 2 * len(question))):
        return TOO_MUCH
    if len(text.splitlines()) > 1 or not text.isprintable():
        return "the model wrote more than one line"
    if question.rstrip().endswith("?") and not text.endswith("?"):
        return "the model wrote no question"
    return ""


def _content_flaw(text: str, conversation: Conversation) -> str:
    """Words alone: whether it asks the same is beyond them."""
    words, asked = content_words(text), set(content_words(conversation.question))
    said = asked.union(*(content_words(turn.text) for turn in conversation.turns))
    new = [word for word in words if word not in said]
    if not words or len(new) > NEW_SHARE * len(words) or any(map(is_number, new)):
        return "the model wrote of something that nobody said"
    if len(asked.intersection(words)) < KEPT_SHARE * len(asked):
        return "the model lost what was asked"
    if normalise(text) in {normalise(turn.text) for turn in conversation.turns}:
        return "the model repeated an earlier turn"
    return ""
