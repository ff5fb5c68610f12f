"""How likely found passages hold an answer."""

import math
from collections.abc import Sequence
from typing import Final

from plumbline_retrieval.domain.document import Found
from plumbline_retrieval.domain.ranking import Ranked, words_of

BIAS: Final = -6.134
COSINE_WEIGHT: Final = 9.131
WORDS_WEIGHT: Final = 0.808
"""Logistic regression on half of CLAP NQ's 600 questions, by a hash of the question, asked of the pooled corpus.

`make bench-retrieval` reports the area under the ROC curve on the other half. They hold for the local encoder.
"""


def support(question: str, ranked: Ranked, found: Sequence[Found]) -> float:
    """In [0, 1]; 0 where nothing was found.

    Looks at the cosine of the passage nearest to the question, and at the greatest share of the question's words that
    one of the passages holds: shared words alone say little, because a question about something that is not in the
    corpus shares words with what is.
    """
    if not found or not ranked.dense:
        return 0.0
    words = [f" {word} " for word in dict.fromkeys(words_of(question))]
    shared = max(sum([word in each.words for word in words]) for each in found) / max(len(words), 1)
    return 1 / (1 + math.exp(-(BIAS + COSINE_WEIGHT * ranked.dense[0][1] + WORDS_WEIGHT * shared)))
