"""Whether a prompt and an answer to it are what a test wants; each failure is a sentence."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from plumbline_models.abstention import says_it_does_not_know
from plumbline_models.checking import SentenceCheck
from plumbline_models.evidence import Source
from plumbline_prompts.file import AnswerChecks, PromptChecks
from plumbline_prompts.template import Prompt, PromptPassage

RESTS_ON: Final = 0.6
"""The share of an answer's words that a passage must hold; the local release's `minimum_claim_support`."""

_MARKS: Final = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def check_prompt(checks: PromptChecks, prompt: Prompt, count: Callable[[str], int]) -> list[str]:
    """What is not as *checks* want it; *count* counts tokens."""
    whole = f"{prompt.system}\n\n{prompt.user}"
    failures = [*_texts(checks.contains, checks.lacks, whole), *_order(checks.in_order, whole)]
    if checks.max_tokens is not None:
        tokens = count(prompt.system) + count(prompt.user)
        if tokens > checks.max_tokens:
            failures.append(f"has {tokens} tokens, more than {checks.max_tokens}")
    return failures


def check_answer(checks: AnswerChecks, text: str, seconds: float, passages: Sequence[PromptPassage]) -> list[str]:
    """What is not as *checks* want it of an answer from *passages* that took so long."""
    failures = list(_texts(_folded(checks.contains), _folded(checks.lacks), text.casefold()))
    if checks.matches and not re.search(checks.matches, text):
        failures.append(f"does not match {checks.matches!r}")
    if checks.refuses is not None and checks.refuses != says_it_does_not_know(text):
        failures.append("answers where it should refuse" if checks.refuses else "refuses")
    if lacking := set(checks.cites) - cited(text):
        failures.append(f"does not cite {_list(lacking)}")
    if lacking := set(checks.rests_on) - rested_on(text, passages):
        failures.append(f"does not rest on {_list(lacking)}")
    if checks.max_seconds is not None and seconds > checks.max_seconds:
        failures.append(f"took {seconds:.1f} s, more than {checks.max_seconds:g}")
    return failures


def cited(text: str) -> set[int]:
    """The numbers that an answer marks, as in [1] and [2, 3]."""
    return {int(number) for marks in _MARKS.findall(text) for number in marks.split(",")}


def rested_on(text: str, passages: Sequence[PromptPassage]) -> set[int]:
    """The numbers of the passages that support an answer, taken as one sentence, as generation checks it."""
    sources = [Source(passage.title, passage.text) for passage in passages]
    return {passages[index].number for index in SentenceCheck(sources, RESTS_ON)(text).held}


def _texts(contained: Iterable[str], lacking: Iterable[str], whole: str) -> Iterator[str]:
    yield from (f"does not contain {text!r}" for text in contained if text not in whole)
    yield from (f"contains {text!r}" for text in lacking if text in whole)


def _order(texts: Sequence[str], whole: str) -> Iterator[str]:
    place = 0
    for text in texts:
        found = whole.find(text, place)
        if found < 0:
            yield f"{text!r} is not there, or stands too early"
            return
        place = found + len(text)


def _folded(texts: Iterable[str]) -> list[str]:
    return [text.casefold() for text in texts]


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
