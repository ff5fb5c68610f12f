"""What the reader of one format hands back, and how it refuses."""

from dataclasses import dataclass

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.content import Layout


@dataclass(frozen=True, slots=True)
class Extract:
    """Text as a format's reader found it: not yet tidied, not yet measured."""

    text: str
    title: str = ""
    """Empty where the document has none of its own."""
    layout: Layout = Layout.PROSE
    notes: tuple[str, ...] = ()


def refused(sentence: str) -> Invalid:
    """The error of a file that cannot be read. *sentence* goes on from "file", and says what to do."""
    return Invalid.field("file", sentence)


def listed(numbers: list[int], most: int = 5) -> str:
    """Numbers for a note, the first ones by name: "3, 7 and 12", "1, 2, 3, 4, 5 and 20 more"."""
    shown = [str(number) for number in numbers[:most]]
    last = f"{len(numbers) - most} more" if len(numbers) > most else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
