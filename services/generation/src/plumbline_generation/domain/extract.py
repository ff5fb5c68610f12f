"""An answer without a model: the sentences of the passages that share most words with the question."""

from collections.abc import Sequence
from typing import Final

from plumbline_generation.domain.answer import Passage
from plumbline_generation.domain.markers import without_markers
from plumbline_models.support import question_support
from plumbline_models.text import sentences

MAX_SENTENCES: Final = 2


def extract(question: str, passages: Sequence[Passage], *, least: float = 0.0, without: str = "") -> str:
    """At most two sentences of the passages, word for word and in their order.

    A sentence is taken with its title, so that "It costs 49 euros." counts for the lamp that it is about. Left out are
    those with less than *least* of the question's words, and those that stand in *without*.
    """
    scored = [
        (question_support(question, [f"{passage.title}\n{sentence}"]), sentence)
        for passage in passages
        for sentence in _sentences(passage)
        if sentence not in without
    ]
    candidates = [one for one in scored if one[0] >= least]
    best = sorted(range(len(candidates)), key=lambda index: (-candidates[index][0], index))[:MAX_SENTENCES]
    return " ".join(candidates[index][1] for index in sorted(best))


def _sentences(passage: Passage) -> list[str]:
    """Its sentences, each on one line; headings say nothing that the title does not."""
    spans = (" ".join(span.of(passage.text).split()) for span in sentences(passage.text))
    return [clean for text in spans if not text.startswith("#") and (clean := without_markers(text)) != passage.title]
