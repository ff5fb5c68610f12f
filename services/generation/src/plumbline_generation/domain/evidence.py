"""Where in a passage a sentence's support stands."""

from plumbline_generation.domain.answer import Evidence, Passage
from plumbline_models.support import claim_words
from plumbline_models.text import Span, content_words, is_number, sentences


class EvidenceFinder:
    """Finds the sentences of one passage."""

    def __init__(self, number: int, passage: Passage) -> None:
        """*number* is the 1-based one of the source."""
        self._number = number
        self._passage = passage
        self._title = frozenset(content_words(passage.title))
        self._sentences: list[tuple[Span, frozenset[str]]] | None = None

    def find(self, claim: str, minimum: float) -> tuple[Evidence, ...]:
        """The fewest sentences, chosen greedily, that with the title hold *minimum* of the claim's words.

        They hold all of its numbers that the passage holds. In the order of the document; one at least, if the
        passage has any.
        """
        words = claim_words(claim)
        missing = [word for word in words if word not in self._title]
        chosen: list[Span] = []
        left = self._cut()
        while left and (not chosen or not _enough(words, missing, minimum)):
            span, held = max(left, key=lambda one: (sum(word in one[1] for word in missing), -one[0].start))
            if chosen and held.isdisjoint(missing):
                break
            chosen.append(span)
            missing = [word for word in missing if word not in held]
            left = [one for one in left if one[0] != span]
        return self._placed(chosen)

    def _cut(self) -> list[tuple[Span, frozenset[str]]]:
        if self._sentences is None:
            text = self._passage.text
            self._sentences = [(span, frozenset(content_words(span.of(text)))) for span in sentences(text)]
        return self._sentences

    def _placed(self, spans: list[Span]) -> tuple[Evidence, ...]:
        passage = self._passage
        if passage.end - passage.start != len(passage.text):  # rows of a table with its header before them
            return (Evidence(self._number, passage.start, passage.end),)
        ordered = sorted(spans, key=lambda span: span.start)
        return tuple(Evidence(self._number, passage.start + span.start, passage.start + span.end) for span in ordered)


def _enough(words: list[str], missing: list[str], minimum: float) -> bool:
    return len(missing) <= (1 - minimum) * len(words) and not any(map(is_number, missing))
