"""A prompt's file: the two templates, the variables they may use, examples, and tests."""

import datetime
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from plumbline_kit.release import Constant, PromptSettings, read_prompt
from plumbline_prompts.errors import PromptProblem
from plumbline_prompts.template import GIVEN, PromptPassage

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n]*$")]
_OPENING: Final = r"^[ \t]*{part}[ \t]*=[ \t]*('''|\"\"\")(\r?\n)?"


class _Table(BaseModel):
    """A table of which every field is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Table):
    """A constant that a release may set."""

    description: str = ""
    type: Literal["text", "number", "flag"] = "text"
    default: Constant | None = None


class ExamplePassage(_Table):
    """A passage of an example. Its number is its place, from 1."""

    title: str
    text: str
    date: datetime.date | None = None
    trust: Literal["", "low", "medium", "high"] = ""
    section: str = ""

    def numbered(self, number: int) -> PromptPassage:
        """As the template sees it."""
        day = self.date.isoformat() if self.date else ""
        return PromptPassage(number, self.title, self.text, day, self.trust, self.section)


class Example(_Table):
    """A question, what was found for it, and other values than the variables' defaults."""

    name: Line
    question: str
    passages: tuple[ExamplePassage, ...] = ()
    variables: Mapping[str, Constant] = Field(default_factory=dict)

    def numbered(self) -> list[PromptPassage]:
        """The passages as the template sees them."""
        return [passage.numbered(number) for number, passage in enumerate(self.passages, start=1)]


class PromptChecks(_Table):
    """What must hold of the messages; no model is needed."""

    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    in_order: tuple[str, ...] = ()
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Of both messages, by the encoder's tokenizer."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return pattern


class AnswerChecks(_Table):
    """What must hold of a model's answer. Texts are compared without regard to case."""

    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    matches: Annotated[str, AfterValidator(_compiles)] = ""
    """A regular expression that is found somewhere."""
    refuses: bool | None = None
    """Whether it begins with the admission that it does not know."""
    cites: tuple[int, ...] = ()
    """Numbers that it marks itself, as in [1]."""
    rests_on: tuple[int, ...] = ()
    """Numbers of passages that hold most of its words, all of its numbers and names, and deny nothing of it."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    at_least: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of the repeats in which all of this must hold."""


class PromptTest(_Table):
    """What must hold of an example: of its messages, of an answer to them, or of both."""

    name: Line
    example: str
    prompt: PromptChecks | None = None
    answer: AnswerChecks | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.prompt and not self.answer:
            raise ValueError("it tests nothing: it needs prompt.… or answer.…")
        return self


class Lint(_Table):
    """Findings that are meant to be."""

    allow: Mapping[str, Line] = Field(default_factory=dict)
    """The reason, by the finding's code."""


class PromptFile(_Table):
    """A prompt with all that people keep beside it. Only what `settings` gives reaches a model."""

    description: str = ""
    system: str
    template: str
    variables: Mapping[str, Variable] = Field(default_factory=dict)
    lint: Lint = Lint()
    examples: tuple[Example, ...] = ()
    tests: tuple[PromptTest, ...] = ()
    _path: Path = PrivateAttr()
    _source: str = PrivateAttr()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if taken := GIVEN & self.variables.keys():
            raise ValueError(f"{', '.join(sorted(taken))} is given with every request and cannot be a variable")
        for kind, rows in (("example", self.examples), ("test", self.tests)):
            names = [row.name for row in rows]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"two {kind}s have the name {', '.join(sorted(twice))}")
        named = {example.name for example in self.examples}
        if lost := [test.example for test in self.tests if test.example not in named]:
            raise ValueError(f"tests name examples that are not there: {', '.join(lost)}")
        return self

    @classmethod
    def load(cls, path: Path) -> "PromptFile":
        """Raises `PromptProblem` that names the file and everything that is wrong with it."""
        try:
            source = path.read_text(encoding="utf-8")
            content = tomllib.loads(source)
            if content.keys().isdisjoint(("system", "template")):
                raise ValueError("it has neither system nor template; a release names its prompt's file under [prompt]")
            loaded = cls.model_validate(content)
        except ValidationError as error:
            raise PromptProblem(f"prompt file {path}: {'; '.join(map(_sentence, error.errors()))}") from error
        except OSError as error:
            raise PromptProblem(f"prompt file {path}: {(error.strerror or str(error)).lower()}") from error
        except ValueError as error:
            raise PromptProblem(f"prompt file {path}: {error}") from error
        loaded._path, loaded._source = path, source
        return loaded

    @property
    def path(self) -> Path:
        """Where it was read from."""
        return self._path

    def settings(self, values: Mapping[str, Constant] | None = None) -> PromptSettings:
        """What a release makes of it with *values*. Raises `PromptProblem` for a variable without a value."""
        try:
            return read_prompt(self._path, self._source, values or {})
        except ValueError as error:
            raise PromptProblem(str(error)) from error

    def sample(self, values: Mapping[str, Constant] | None = None) -> PromptSettings:
        """The same, where a variable without a value has one of its kind."""
        blank: Mapping[str, Constant] = {"text": "text", "number": 1, "flag": True}
        unset = {name: blank[one.type] for name, one in self.variables.items() if one.default is None}
        return self.settings({**unset, **(values or {})})

    def example(self, name: str) -> Example:
        """The example of that name. Raises `KeyError`."""
        return {example.name: example for example in self.examples}[name]

    def line(self, part: str, line: int) -> int:
        """The line of the file at which *line* of system or template stands; where that is hidden, its first."""
        opening = re.search(_OPENING.format(part=part), self._source, re.MULTILINE)
        if opening and self._source[opening.end() :].replace("\r\n", "\n").startswith(getattr(self, part)):
            return self._source.count("\n", 0, opening.end()) + max(1, line)
        key = re.search(rf"^[ \t]*{part}[ \t]*=", self._source, re.MULTILINE)
        return self._source.count("\n", 0, key.start()) + 1 if key else 1


def find_prompts(folder: Path) -> list[Path]:
    """The prompt files below *folder*: every TOML file that has a system part and a template."""
    return [path for path in sorted(folder.rglob("*.toml")) if _is_prompt(path)]


def _is_prompt(path: Path) -> bool:
    try:
        return {"system", "template"} <= tomllib.loads(path.read_text(encoding="utf-8")).keys()
    except (OSError, ValueError):
        return False


def _sentence(error: Mapping[str, Any]) -> str:
    place: Sequence[str | int] = error["loc"]
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{where}: {error['msg']}" if where else str(error["msg"])
