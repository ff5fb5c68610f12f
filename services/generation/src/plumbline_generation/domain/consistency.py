"""How far several texts of a model say the same, and which of them says most of what the others say.

Told is the text with the highest mean similarity to the others: minimum Bayes risk decoding over samples (Kumar and
Byrne, 2004), or self-consistency (Wang et al., 2022) where answers are not one of a few. Similarity is the F1 of words
as SQuAD has it (Rajpurkar et al., 2016), here of content words: 2 |A and B| / (|A| + |B|), each word counted as often
as it stands.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from plumbline_models.text import content_words


@dataclass(frozen=True, slots=True)
class Sample:
    """One text of several. *agreement* is its mean similarity to the others, in [0, 1]; None where there are none."""

    seed: int
    completion_tokens: int = 0
    agreement: float | None = None
    reason: str = ""
    """Why there is no text; empty where there is one. Such a sample agrees with none and is counted with none."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """What became of the samples, by seed, and the seed whose text is told."""

    samples: tuple[Sample, ...]
    seed: int

    @property
    def agreement(self) -> float | None:
        """The mean similarity of all pairs of texts, in [0, 1]; None where there are fewer than two texts."""
        known = [sample.agreement for sample in self.samples if sample.agreement is not None]
        return fmean(known) if known else None


def agreements(texts: Sequence[str]) -> list[float]:
    """Of each of at least two *texts* the mean similarity to the others, in [0, 1]."""
    words = [Counter(content_words(text)) for text in texts]
    alike = [[similarity(one, other) for other in words] for one in words]
    return [(sum(row) - row[number]) / (len(texts) - 1) for number, row in enumerate(alike)]


def similarity(one: Counter[str], other: Counter[str]) -> float:
    """The F1 of two bags of words, in [0, 1]; 1 where both are empty."""
    size = one.total() + other.total()
    return 2 * (one & other).total() / size if size else 1.0
