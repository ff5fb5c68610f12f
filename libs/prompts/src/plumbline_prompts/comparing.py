"""What changes from one prompt to another."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from plumbline_prompts.file import Example, PromptFile
from plumbline_prompts.prefix import common
from plumbline_prompts.template import Prompt, PromptTemplate


@dataclass(frozen=True, slots=True)
class ExampleChange:
    """An example as both prompts tell it."""

    name: str
    rendered: tuple[str, str]
    """Both messages, one under the other."""
    tokens: tuple[int, int] | None
    kept: str
    """How much of its beginning is the same, in words."""


@dataclass(frozen=True, slots=True)
class Change:
    """From one prompt to another."""

    versions: tuple[str, str]
    templates: Mapping[str, tuple[str, str]]
    """By name: what stands in the one and the other."""
    examples: tuple[ExampleChange, ...]
    """Of either, by name; one that both have is the second's."""


def compare(before: PromptFile, after: PromptFile, count: Callable[[str], int] | None) -> Change:
    """*count* counts tokens, which are not told without. Raises `PromptProblem` for a prompt that does not render.

    Variables have their defaults; an example's own values count where both prompts have the variable.
    """
    versions = before.sample().version, after.sample().version
    templates = {name: (getattr(before, name), getattr(after, name)) for name in ("system", "template")}
    return Change(versions, templates, tuple(_examples(before, after, count)))


def _examples(before: PromptFile, after: PromptFile, count: Callable[[str], int] | None) -> Iterator[ExampleChange]:
    examples = {example.name: example for example in (*before.examples, *after.examples)}
    for example in examples.values():
        one, other = _render(before, example), _render(after, example)
        tokens = (_tokens(one, count), _tokens(other, count)) if count else None
        yield ExampleChange(example.name, (_whole(one), _whole(other)), tokens, _kept(one, other))


def _render(prompt: PromptFile, example: Example) -> Prompt:
    values = {name: value for name, value in example.variables.items() if name in prompt.variables}
    return PromptTemplate(prompt.sample(values)).render(example.question, example.numbered())


def _whole(prompt: Prompt) -> str:
    return f"{prompt.system}\n\n{prompt.user}"


def _tokens(prompt: Prompt, count: Callable[[str], int]) -> int:
    return count(prompt.system) + count(prompt.user)


def _kept(one: Prompt, other: Prompt) -> str:
    if one == other:
        return "all of it"
    if one.system != other.system:
        return f"broken: the instructions differ after {common([one.system, other.system])} characters"
    return f"the instructions, and {common([one.user, other.user])} characters of what follows"
