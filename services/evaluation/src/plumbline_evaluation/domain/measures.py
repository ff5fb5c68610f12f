"""The measures: what each counts, and when there is nothing to count."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_evaluation.domain.answer import Answer, Claim
from plumbline_evaluation.domain.evaluation import Measure, Score
from plumbline_models.support import assess, claim_words
from plumbline_models.text import sentences

WORDS_VERSION: Final = "words-numbers-names-1"
SIMILARITY_VERSION: Final = "cosine-1"
NAMED: Final = 3
"""How many sentences or citations an explanation names."""


@dataclass(frozen=True, slots=True)
class Minimums:
    """The least values that pass, all in [0, 1]."""

    citation_validity: float
    faithfulness: float
    answer_relevance: float
    context_relevance: float
    claim_support: float
    """From this share of its content words on, a passage supports a sentence."""


@dataclass(frozen=True, slots=True)
class Evaluators:
    """The set of measures. An answer needs every one of them."""

    citation_validity: Measure
    faithfulness: Measure
    answer_relevance: Measure
    context_relevance: Measure

    @classmethod
    def of(cls, minimums: Minimums, encoder_id: str) -> "Evaluators":
        """The measures by these minimums, with this encoder."""
        words = f"{WORDS_VERSION}@{minimums.claim_support:g}"
        cosine = f"{SIMILARITY_VERSION}@{encoder_id}"
        return cls(
            Measure("citation_validity", words, minimums.citation_validity),
            Measure("faithfulness", words, minimums.faithfulness),
            Measure("answer_relevance", cosine, minimums.answer_relevance),
            Measure("context_relevance", cosine, minimums.context_relevance),
        )

    def all(self) -> tuple[Measure, ...]:
        """In the order of the scores."""
        return (self.citation_validity, self.faithfulness, self.answer_relevance, self.context_relevance)

    @property
    def version(self) -> str:
        """Names the set: the same measures with the same minimums, the same version."""
        content = ",".join(f"{measure.name}={measure.version}>={measure.minimum:g}" for measure in self.all())
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def citation_validity(measure: Measure, answer: Answer, minimum_support: float) -> Score:
    """Share of the citations whose number names a source that supports the citing sentence.

    Support is counted here again from the texts; what the writer said about it is not read.
    """
    citations = [(claim, number) for claim in answer.claims for number in claim.source_numbers]
    if not citations:
        return measure.not_measured("the answer cites nothing")
    wrong = [number for claim, number in citations if not _holds(answer, claim, number, minimum_support)]
    found = f"{len(citations) - len(wrong)} of {len(citations)} citations name a source that supports their sentence"
    return measure.measured(1 - len(wrong) / len(citations), found + _naming("citation of source", wrong))


def faithfulness(measure: Measure, answer: Answer, minimum_support: float) -> Score:
    """Share of the answer's sentences that at least one source supports.

    The sentences are cut here again from the text. One whose numbers and names no source holds is not supported.
    """
    claims = [span.of(answer.text) for span in sentences(answer.text)]
    claims = [claim for claim in claims if claim_words(claim)]
    if not claims:
        return measure.not_measured("the answer claims nothing")
    wrong = [
        number
        for number, claim in enumerate(claims, start=1)
        if not any(supported(claim, source, minimum_support) for source in answer.sources)
    ]
    found = f"{len(claims) - len(wrong)} of {len(claims)} sentences are supported by a source"
    return measure.measured(1 - len(wrong) / len(claims), found + _naming("sentence", wrong))


def answer_relevance(measure: Measure, similarity: float) -> Score:
    """Cosine of question and answer; below 0 counts as 0, because an opposite is no more relevant than a stranger."""
    return measure.measured(similarity, f"question and answer have a cosine of {similarity:.3f}")


def context_relevance(measure: Measure, similarities: Sequence[float]) -> Score:
    """Greatest cosine of the question with a source; below 0 counts as 0."""
    if not similarities:
        return measure.not_measured("the answer has no source")
    if not all(map(math.isfinite, similarities)):
        return measure.not_measured("the measure gave no number")
    nearest = max(range(len(similarities)), key=lambda index: similarities[index])
    explanation = f"source {nearest + 1} is nearest to the question, with a cosine of {similarities[nearest]:.3f}"
    return measure.measured(similarities[nearest], explanation)


def supported(claim: str, source: str, minimum_support: float) -> bool:
    """Whether the source holds enough of the claim's words, and all of its numbers and names."""
    found = assess(claim, source)
    return found.score >= minimum_support and not found.missing_names


def _holds(answer: Answer, claim: Claim, number: int, minimum_support: float) -> bool:
    if not (1 <= number <= len(answer.sources) and 0 <= claim.start < claim.end <= len(answer.text)):
        return False
    return supported(answer.text[claim.start : claim.end], answer.sources[number - 1], minimum_support)


def _naming(what: str, wrong: Sequence[int]) -> str:
    if not wrong:
        return ""
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f", not {what} {', '.join(map(str, wrong[:NAMED]))}{more}"
