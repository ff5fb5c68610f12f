"""Questions of the public pairs with one thing altered that turns the answer: another number, a "not" more.

The labelled pairs that differ in nothing else are a handful, too few to tell how often such a question is answered
with the other's answer.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

MADE: Final = 300
"""Pairs of a kind, the first of those that can be made."""

_NUMBER: Final = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\w)")
_ASKED: Final = re.compile(
    r"\b(?:can|could|should|would|will|do|does|did|is|are|was|were|have|has) (?:i|you|we|they|he|she|it|people|one)\b",
    re.I,
)
_NEGATED: Final = re.compile(r"\b(?:not|no|never|without|none|cannot)\b|n't\b", re.I)


def other_number(question: str) -> str:
    """*question* with one more in the place of its last number; as it is where it has none."""
    found = list(_NUMBER.finditer(question))
    if not found:
        return question
    last = found[-1]
    return f"{question[: last.start()]}{int(last[0]) + 1}{question[last.end() :]}"


def negated(question: str) -> str:
    """*question* with a "not" after "can I", "do you" and the like; as it is where it has none or is denied already."""
    if _NEGATED.search(question):
        return question
    return _ASKED.sub(lambda asked: f"{asked[0]} not", question, count=1)


def altered(questions: Iterable[str], alter: Callable[[str], str]) -> Sequence[tuple[str, str]]:
    """The first `MADE` of *questions* that *alter* changes, each beside what it makes of it."""
    both = ((question, alter(question)) for question in dict.fromkeys(questions))
    return list(itertools.islice((pair for pair in both if pair[0] != pair[1]), MADE))
