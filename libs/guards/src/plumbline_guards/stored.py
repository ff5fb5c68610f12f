"""Facts that are kept: their texts without the values that nobody needs to read there."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, Protocol

from plumbline.common.v1 import answer_pb2 as pb
from plumbline_guards.findings import NEVER_TOLD, Finding, Kind
from plumbline_guards.placeholders import Hidden, Placeholders, reserved
from plumbline_guards.scanner import scan

ALWAYS: Final = NEVER_TOLD | {Kind.IBAN, Kind.CANARY}
CONTACTS: Final = frozenset({Kind.EMAIL, Kind.PHONE, Kind.IP_ADDRESS})
"""Of a question they are somebody's; of a document they are what it is read for."""
CONDENSED: Final = ("original_question", "standalone_question", "reason")
"""Of a condensation: all come with the question."""
REMEMBERED: Final = 4_096
"""Texts whose findings are kept: passages come again."""

FindingsIn = Callable[[str], Sequence[Finding]]


def remembering(canary: str = "") -> FindingsIn:
    """`scan`, that remembers the last texts. *canary* is found too."""
    return lru_cache(maxsize=REMEMBERED)(lambda text: tuple(scan(text, canary)))


class Fact(Protocol):
    """What tells of a question and its answer."""

    question: str

    @property
    def answer(self) -> pb.Answer:
        """Its texts are those that a reader may read."""
        ...

    @property
    def condensation(self) -> pb.Condensation:
        """How the question came to stand alone."""
        ...


def redact(fact: Fact, findings_in: FindingsIn) -> Counter[Kind]:
    """Redact it in place, and tell what was redacted."""
    condensation = fact.condensation
    asked = [fact.question, *(getattr(condensation, field) for field in CONDENSED)]
    all_texts = [*asked, *texts_of(fact.answer)]
    if not any(map(findings_in, all_texts)):  # as of most facts
        return Counter()
    texts = Redaction(all_texts, findings_in)
    fact.question = texts.asked(fact.question)
    for field in CONDENSED:
        if text := getattr(condensation, field):
            setattr(condensation, field, texts.asked(text))
    texts.answer(fact.answer)
    return texts.counts


def is_redacted(asked: Iterable[str], told: Iterable[str], findings_in: FindingsIn) -> bool:
    """Whether a fact of these questions and other texts would be redacted."""
    kinds = ((text, ALWAYS | CONTACTS) for text in asked), ((text, ALWAYS) for text in told)
    return any(finding.kind in wanted for text, wanted in chain(*kinds) for finding in findings_in(text))


class Redaction:
    """The texts of one fact, redacted together: the same value has the same placeholder in all of them."""

    def __init__(self, texts: Collection[str], findings_in: FindingsIn) -> None:
        """*texts* are all of them: what looks like a placeholder there names nothing here."""
        self.counts = Counter[Kind]()
        """What was redacted."""
        self._findings_in = findings_in
        self._names = Placeholders(reserved(texts))

    def asked(self, text: str) -> str:
        """A question's text, contacts redacted too. It comes before what was told."""
        return self._hidden(text, ALWAYS | CONTACTS).text

    def told(self, text: str) -> Hidden:
        """Another text. Of contacts, those that the question had are redacted."""
        return self._hidden(text, ALWAYS)

    def answer(self, answer: pb.Answer) -> None:
        """Redact it in place. Claims still point at their sentences."""
        hidden = self.told(answer.text)
        answer.text = hidden.text
        for claim in answer.claims:
            claim.start_offset, claim.end_offset = map(hidden.moved, (claim.start_offset, claim.end_offset))
        for passage in answer.sources:
            self._passage(passage)

    def _passage(self, passage: pb.Passage) -> None:
        for field in ("title", "url", "text", "preceding_text", "following_text"):
            if text := getattr(passage, field):
                setattr(passage, field, self.told(text).text)
        passage.title_path[:] = [self.told(title).text for title in passage.title_path]

    def _hidden(self, text: str, kinds: frozenset[Kind]) -> Hidden:
        findings = self._findings_in(text)
        chosen = [
            one for one in findings if one.kind in kinds or self._names.knows(one.kind, text[one.start : one.end])
        ]
        self.counts.update(one.kind for one in chosen)
        return self._names.hide(text, chosen, lambda kind, value: True)


def texts_of(answer: pb.Answer) -> list[str]:
    """All that a reader may read of it."""
    sources = (text for source in answer.sources for text in (source.title, source.url, source.text))
    around = (text for source in answer.sources for text in (source.preceding_text, source.following_text))
    paths = (title for source in answer.sources for title in source.title_path)
    return [answer.text, *sources, *around, *paths]
