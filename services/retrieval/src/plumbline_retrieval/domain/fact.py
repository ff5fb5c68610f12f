"""Facts that change often, and the documents that they become."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from plumbline_kit.errors import FieldViolation, Invalid
from plumbline_retrieval.domain.document import FACTS, Document
from plumbline_retrieval.domain.source import DEFAULT_SOURCE

_MOST: Final = {"subject": 200, "attribute": 100, "value": 1_000}
_MOST_UNIT: Final = 50


@dataclass(frozen=True, slots=True)
class Fact:
    """What is true of a subject since a moment. Raises `Invalid` with every field that is wrong."""

    subject: str
    attribute: str
    value: str
    since: datetime
    unit: str = ""
    source_id: str = DEFAULT_SOURCE
    groups: tuple[str, ...] = ()
    url: str = ""
    retracted: bool = False

    def __post_init__(self) -> None:
        texts = {"subject": self.subject, "attribute": self.attribute, "value": self.value}
        wrong = [
            FieldViolation(f"fact.{name}", f"must have 1 to {_MOST[name]:,} printable characters")
            for name, text in texts.items()
            if not (name == "value" and self.retracted)
            and not (text.strip() and len(text) <= _MOST[name] and text.isprintable())
        ]
        if len(self.unit) > _MOST_UNIT or not self.unit.isprintable():
            wrong.append(FieldViolation("fact.unit", f"must have at most {_MOST_UNIT} printable characters"))
        if wrong:
            raise Invalid("; ".join(f"{each.field} {each.description}" for each in wrong), *wrong)
        self.document()  # what makes no document is told to whoever records it

    @property
    def document_id(self) -> str:
        """One for each subject and attribute, however they are capitalised and spaced."""
        return f"{FACTS}{_part(self.subject)}/{_part(self.attribute)}"

    def document(self) -> Document:
        """The fact in a sentence, so that it is found, read and cited like any other passage."""
        amount = f"{self.value} {self.unit}".strip()
        since = f"{self.since:%d %B %Y, %H:%M} UTC".lstrip("0")
        return Document(
            self.document_id,
            self.subject,
            f"{self.subject}: the {self.attribute} is {amount} since {since}.",
            self.url,
            self.groups,
            self.source_id,
            metadata=(("attribute", self.attribute), ("subject", self.subject)),
            content_time=self.since,
        )


def _part(text: str) -> str:
    return " ".join(text.casefold().split()).replace("%", "%25").replace("/", "%2F")
