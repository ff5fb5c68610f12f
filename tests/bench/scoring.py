"""How good an answer is, by measures that others publish and by a second look at what its sentences cite."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Final

from plumbline_generation.domain.answer import Answer, Claim
from plumbline_models.evidence import DENIALS, LIKENESS
from plumbline_models.support import assess, claim_words
from plumbline_models.text import content_words, sentences

_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def tokens(text: str) -> list[str]:
    """As SQuAD's evaluation script v1.1 normalises answers: lower case, no punctuation, no articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def token_f1(answer: str, references: Sequence[str]) -> float:
    """The greatest F1 of an answer's tokens and those of one of its references (Rajpurkar et al., 2016)."""
    return max((_f1(Counter(tokens(answer)), Counter(tokens(each))) for each in references), default=0.0)


def _f1(answer: Counter[str], reference: Counter[str]) -> float:
    common = (answer & reference).total()
    return 2 * common / (answer.total() + reference.total()) if common else 0.0


def knowledge_precision(answer: str, knowledge: str) -> float:
    """The share of an answer's tokens that stand in its passages: K-precision (Adlakha et al., 2023).

    It knows neither sentences nor stems, so that it does not share the faults of the check that an answer came through.
    """
    told, known = tokens(answer), frozenset(tokens(knowledge))
    return sum(token in known for token in told) / len(told) if told else 0.0


def cited_pieces(answer: Answer, claim: Claim) -> list[str]:
    """For each source that *claim* cites: its title, and the pieces of its text at the claim's evidence.

    Raises `ValueError` where a piece lies outside its source.
    """
    pieces: dict[int, list[str]] = {}
    for evidence in claim.evidence:
        source = answer.sources[evidence.source_number - 1]
        if not source.start <= evidence.start < evidence.end <= source.end:
            raise ValueError(f"evidence {evidence.start} to {evidence.end} lies outside its source")
        whole = source.end - source.start == len(source.text)  # not so for rows of a table, below their header
        piece = source.text[evidence.start - source.start : evidence.end - source.start] if whole else source.text
        pieces.setdefault(evidence.source_number, [source.title]).append(piece)
    return ["\n".join(each) for each in pieces.values()]


def is_held(answer: Answer, claim: Claim, minimum: float) -> bool:
    """Whether each source that *claim* cites holds it at the pieces that it points at, by the rule of the check.

    That is *minimum* of its content words, all of its numbers and names, and no denial on one side alone.
    """
    sentence = answer.text[claim.start : claim.end]
    pieces = cited_pieces(answer, claim)
    cited = {evidence.source_number for evidence in claim.evidence}
    return bool(pieces) and cited == set(claim.source_numbers) and all(_holds(sentence, one, minimum) for one in pieces)


def _holds(sentence: str, piece: str, minimum: float) -> bool:
    found = assess(sentence, piece)
    if found.score < minimum or found.missing_numbers or found.missing_names:
        return False
    told, denied = frozenset(claim_words(sentence)), [each for each in _sentences(piece) if each & DENIALS]
    if told & DENIALS:
        return bool(denied)
    return not any(told & each and len(told & each) >= LIKENESS * len(each - DENIALS) for each in denied)


def _sentences(piece: str) -> list[frozenset[str]]:
    return [frozenset(content_words(span.of(piece))) for span in sentences(piece)]
