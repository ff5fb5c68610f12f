"""How much of a prompt stays the same between requests, so that a model server need not compute it again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from plumbline_prompts.template import PromptPassage, PromptTemplate

OTHERS: Final = ("Another", "other", "1", "?")
"""Texts that begin differently."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Code points of the second message from its beginning. The first message, the instructions, never changes."""

    any_passages: int
    """Stay with whatever passages and question."""
    same_passages: int
    """Stay with the same passages and another question."""


def prefix(template: PromptTemplate, question: str, passages: Sequence[PromptPassage]) -> Prefix:
    """Of the prompt for *question* over *passages*, found by rendering others."""
    own = template.render(question, passages).user
    asked = [template.render(other, passages).user for other in OTHERS]
    changed = [template.render(other, [_other(passage, other) for passage in passages]).user for other in OTHERS]
    return Prefix(common([own, *changed, *asked]), common([own, *asked]))


def common(texts: Sequence[str]) -> int:
    """How many characters all *texts* begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False)))


def _other(passage: PromptPassage, text: str) -> PromptPassage:
    return replace(passage, title=text, text=text, section=text)
