"""When the documents do not answer, and how that is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_generation.domain.answer import Passage
from plumbline_kit.release import GuardSettings
from plumbline_models.answerability import Read, answerability
from plumbline_models.language import is_unspaced
from plumbline_models.support import question_support

REFUSAL: Final = "The documents do not answer this question."
NO_PASSAGES: Final = "nothing was found"
LITTLE_SUPPORT: Final = "the passages found share too little with the question"
UNLIKELY: Final = "the passages found are too unlikely to answer the question"
MODEL_DOES_NOT_KNOW: Final = "the model says that it does not know"
MAX_TITLES: Final = 3


@dataclass(frozen=True, slots=True)
class Prospect:
    """What may be expected of passages before a model is asked."""

    reason: str = ""
    """Why nothing can be answered from them; empty if something may."""
    answerability: float | None = None
    """How likely they hold the answer, in [0, 1]; None where it was not looked at."""


UNTOLD: Final = Prospect()


def prospect(question: str, passages: Sequence[Passage], settings: GuardSettings, original: str = "") -> Prospect:
    """Whether the *passages* that were found, best first, are worth a model's time.

    Plain words are counted first: what shares next to none of them is refused without a figure. Of a question in a
    script without spaces there are none to count: it is put to the model. Of a question that was made to stand alone
    the *original* is looked at too, and the likelier of both counts: what was said earlier and stands before the
    question now need not stand in what answers it.
    """
    if not passages:
        return Prospect(NO_PASSAGES)
    if is_unspaced(question):
        return UNTOLD
    if question_support(question, [passage.evidence for passage in passages]) < settings.minimum_question_support:
        return Prospect(LITTLE_SUPPORT)
    minimum = settings.minimum_answerability
    if not minimum:
        return UNTOLD
    reads = [Read(each.title, each.text, each.similarity) for each in passages]
    likely = max(answerability(wording, reads) for wording in (question, original) if wording)
    if likely >= minimum:
        return Prospect(answerability=likely)
    return Prospect(f"{UNLIKELY} ({likely:.2f}, wanted is {minimum:.2f})", likely)


def refusal(passages: Sequence[Passage]) -> str:
    """The sentence that refuses, and the titles of what was found instead."""
    titles = list(dict.fromkeys(title for passage in passages if (title := " ".join(passage.title.split()))))
    if not titles:
        return REFUSAL
    return f"{REFUSAL} Found instead: {'; '.join(titles[:MAX_TITLES])}."
