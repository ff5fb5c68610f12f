"""When the documents do not answer, and how that is said."""

from collections.abc import Sequence
from typing import Final

from plumbline_generation.domain.answer import Passage
from plumbline_models.support import question_support

REFUSAL: Final = "The documents do not answer this question."
NO_PASSAGES: Final = "nothing was found"
LITTLE_SUPPORT: Final = "the passages found share too little with the question"
MODEL_DOES_NOT_KNOW: Final = "the model says that it does not know"
MAX_TITLES: Final = 3


def reason_to_refuse(question: str, passages: Sequence[Passage], minimum: float) -> str:
    """Why nothing can be answered from *passages*; empty if something may."""
    if not passages:
        return NO_PASSAGES
    support = question_support(question, [passage.evidence for passage in passages])
    return LITTLE_SUPPORT if support < minimum else ""


def refusal(passages: Sequence[Passage]) -> str:
    """The sentence that refuses, and the titles of what was found instead."""
    titles = list(dict.fromkeys(title for passage in passages if (title := " ".join(passage.title.split()))))
    if not titles:
        return REFUSAL
    return f"{REFUSAL} Found instead: {'; '.join(titles[:MAX_TITLES])}."
