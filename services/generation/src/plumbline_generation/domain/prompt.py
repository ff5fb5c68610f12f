"""What the model is told: the release's template over texts that can say anything but are only data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from plumbline_generation.domain.packing import Packed
from plumbline_kit.release import PromptSettings

_CONTROL: Final = re.compile(
    r"<(?=[|\uff5c])"  # <|im_start|>, <|eot_id|> and their full-width kin
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|(?:start|end)_of_\w+|think|tool_\w+|<SYS>|</SYS>)>)"
    r"|\[(?=/?[A-Z]{3,}(?:_[A-Z]+)*\])"  # [INST], [TOOL_CALLS]
)
_HEADING: Final = re.compile(r"^#{1,6} ", re.MULTILINE)
_MARKER: Final = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to the model. What stays the same comes first, so that its work on it can be kept."""

    system: str
    user: str
    temperature: float | None = None
    """None: the release's."""
    max_tokens: int | None = None
    """Of what the model writes; the smaller of this and the release's holds."""


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage as the template sees it: every text on one line, as data."""

    title: str
    text: str


class PromptTemplate:
    """A release's prompt."""

    def __init__(self, settings: PromptSettings) -> None:
        """Raises `ValueError` for a template that does not render."""
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        self._system = settings.system.strip()
        try:
            self._template = environment.from_string(settings.template)
            self._template.render(passages=[ReadPassage("title", "text")], question="question")
        except TemplateError as error:
            raise ValueError(f"the release's prompt template does not render: {error}") from error

    def render(self, question: str, packed: Sequence[Packed]) -> Prompt:
        """The prompt for *question* over the *packed* passages."""
        passages = [_read(part) for part in packed]
        return Prompt(self._system, self._template.render(passages=passages, question=as_data(question)).strip())


def _read(part: Packed) -> ReadPassage:
    title = part.passage.title.strip()
    first_line, _, rest = part.text.strip().partition("\n")
    says_title_again = first_line.lstrip("# ") == title and rest.strip()
    text = _HEADING.sub("", rest if says_title_again else part.text)
    return ReadPassage(as_data(title), as_data(text))


def as_data(text: str) -> str:
    """*text* on one line, without anything that a chat template or the prompt's own form gives a meaning.

    A control token such as <|im_start|> gets a space inside, which no tokenizer takes for the token; a marker such as
    [1] becomes (1); line ends become spaces, so that nothing can pose as the next passage or the question.
    """
    one_line = " ".join(text.split())
    return _MARKER.sub(r"(\1)", _CONTROL.sub(r"\g<0> ", one_line))
