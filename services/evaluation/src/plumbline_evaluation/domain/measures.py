"""The measures: what each counts, and when there is nothing to count."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_evaluation.domain.answer import Answer, Claim
from plumbline_evaluation.domain.evaluation import Measure, Score
from plumbline_models.checking import SentenceCheck, Standing, sentences_to_check

WORDS_VERSION: Final = "words-numbers-names-denials-2"
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
    check = SentenceCheck(answer.sources, minimum_support)
    found = [
        (number, _cited(check, answer, claim, number)) for claim in answer.claims for number in claim.source_numbers
    ]
    if not found:
        return measure.not_measured("the answer cites nothing")
    return _share(measure, found, "citations name a source that supports their sentence", "citation of source")


def faithfulness(measure: Measure, answer: Answer, minimum_support: float) -> Score:
    """Share of the answer's sentences that at least one source supports.

    The sentences are cut here again from the text, and checked as generation checks them: one whose numbers or names
    no source holds, or that its source denies, is not supported. Headings, greetings and the like count for nothing.
    """
    check = SentenceCheck(answer.sources, minimum_support)
    standings = [check(span.of(answer.text)).standing for span in sentences_to_check(answer.text)]
    claims = [standing for standing in standings if standing is not Standing.NO_CLAIM]
    if not claims:
        return measure.not_measured("the answer claims nothing")
    return _share(measure, list(enumerate(claims, start=1)), "sentences are supported by a source", "sentence")


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


def _cited(check: SentenceCheck, answer: Answer, claim: Claim, number: int) -> Standing:
    """Whether the source of that number supports the sentence that cites it."""
    if not (1 <= number <= len(answer.sources) and 0 <= claim.start < claim.end <= len(answer.text)):
        return Standing.UNSUPPORTED
    checked = check(answer.text[claim.start : claim.end])
    if number - 1 in checked.held:
        return Standing.SUPPORTED
    return Standing.NOT_CHECKED if checked.standing is Standing.NOT_CHECKED else Standing.UNSUPPORTED


def _share(measure: Measure, found: Sequence[tuple[int, Standing]], are: str, what: str) -> Score:
    """The share that is supported, of numbered sentences or citations.

    What could not be checked is not supported. Where it decides between a pass and a failure, nothing was measured.
    """
    standings = Counter(standing for _, standing in found)
    right, unchecked = standings[Standing.SUPPORTED], standings[Standing.NOT_CHECKED]
    told = f"{right} of {len(found)} {are}"
    if unchecked:
        told += f", {unchecked} could not be checked"
    if right / len(found) < measure.minimum <= (right + unchecked) / len(found):
        return measure.not_measured(told)
    wrong = [number for number, standing in found if standing is Standing.UNSUPPORTED]
    return measure.measured(right / len(found), told + _naming(what, wrong))


def _naming(what: str, wrong: Sequence[int]) -> str:
    if not wrong:
        return ""
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f", not {what} {', '.join(map(str, wrong[:NAMED]))}{more}"
