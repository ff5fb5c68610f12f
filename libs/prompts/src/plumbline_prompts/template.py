"""What the model is told: a release's templates over passages and a question."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from plumbline_kit.release import PromptSettings
from plumbline_prompts.data import DataFilter
from plumbline_prompts.errors import TemplateProblem

GIVEN: Final = frozenset({"passages", "question"})
"""What a template is given with every request."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to the model. What stays the same comes first, so that its work on it can be kept."""

    system: str
    user: str
    temperature: float | None = None
    """None: the release's."""
    max_tokens: int | None = None
    """Of what the model writes; the smaller of this and the release's holds."""
    seed: int | None = None
    """None: the release's."""
    json_schema: str = ""
    """What the text has to fit, for endpoints that can be held to it; empty where any text will do."""


@dataclass(frozen=True, slots=True)
class PromptPassage:
    """A passage as a template sees it. Every text is put out on one line, as data."""

    number: int
    """1-based. By it the answer's sources are cited, in whatever order the passages stand."""
    title: str
    text: str
    date: str = ""
    """When it was last known to be true, such as 2026-05-31; empty where nobody knows. So are the next."""
    trust: str = ""
    """Of its source: low, medium or high."""
    section: str = ""
    """The headings it lies under."""


SAMPLE: Final = PromptPassage(1, "title", "text", "2026-05-31", "medium", "section")


class PromptTemplate:
    """The templates of a prompt, ready to render. Texts of people go in as data, whatever the templates do to them."""

    def __init__(self, settings: PromptSettings) -> None:
        """Raises `TemplateProblem` for templates that do not render."""
        self._constants = settings.variables
        environment = data_environment((settings.system, settings.template), tuple(self._constants.values()))
        self._system = _Part("system", settings.system, environment).render(self._constants)
        self._user = _Part("template", settings.template, environment)
        self.render("question", [SAMPLE])

    def render(self, question: str, passages: Sequence[PromptPassage]) -> Prompt:
        """The prompt for *question* over *passages*, in their order. Raises `TemplateProblem`."""
        values = {**self._constants, "passages": passages, "question": question}
        return Prompt(self._system, self._user.render(values))

    def frame_tokens(self, count: Callable[[str], int]) -> int:
        """What a passage takes beside its title and text, by *count*."""
        one, two = (count(self.render("question", [SAMPLE] * number).user) for number in (1, 2))
        return max(0, two - one - count(SAMPLE.title) - count(SAMPLE.text))


class _Part:
    """One of the two templates."""

    def __init__(self, name: str, source: str, environment: ImmutableSandboxedEnvironment) -> None:
        self._name = name
        try:
            self._template: Template = environment.from_string(source)
        except TemplateError as error:
            raise self._problem(error) from error

    def render(self, values: Mapping[str, Any]) -> str:
        try:
            return self._template.render(values).strip()
        except Exception as error:  # whatever the expressions of a template can raise is the template's problem
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> TemplateProblem:
        line = error.lineno if isinstance(error, TemplateSyntaxError) else _line(error)
        return TemplateProblem(self._name, line, str(error) or type(error).__name__)


def _line(error: Exception) -> int:
    """The innermost line of a template on the way to *error*; Jinja names a template without a file so."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == "<template>"), 0)


def own_words(source: str) -> Iterator[str]:
    """The texts of a template that stand outside its expressions; none of one that cannot be parsed."""
    try:
        parsed = ImmutableSandboxedEnvironment().parse(source)
    except TemplateError:
        return
    for node in parsed.find_all(nodes.TemplateData):
        yield node.data


def data_environment(sources: Iterable[str], constants: Sequence[object] = ()) -> ImmutableSandboxedEnvironment:
    """Jinja in a sandbox with strict variables, in which all that an expression puts out is data.

    Delimiters are those of the templates *sources*. Of *constants* each comes out as it is, and nothing made of one:
    a text could be part of that.
    """
    as_data = DataFilter.beside(text for source in sources for text in own_words(source))

    def put_out(value: object) -> object:
        return value if any(value is constant for constant in constants) else as_data(str(value))

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=put_out
    )
