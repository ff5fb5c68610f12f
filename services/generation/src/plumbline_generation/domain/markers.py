"""The model's own citation markers: taken out of its text as it streams, and remembered."""

import re
from dataclasses import dataclass
from typing import Final

_INSIDE: Final = r"[\d,;^\s]"
_MOST_INSIDE: Final = 40
_NUMBER: Final = r"\s*\^?\d{1,3}\s*"
_MARKER: Final = re.compile(
    rf"(?<!\s)\s*[\[\u3010](?={_INSIDE}{{1,{_MOST_INSIDE}}}[\]\u3011])({_NUMBER}(?:[,;]{_NUMBER})*)[\]\u3011]"
)
"""[1], [1, 2] and what else models write: [1; 2], [^1], [ 1 ], \u30101\u3011.

With the space before it, looked for from its beginning only: else white space takes the square of its length."""
_DIGITS: Final = re.compile(r"\d+")
_BEGUN: Final = re.compile(rf"[\[\u3010]{_INSIDE}{{0,{_MOST_INSIDE}}}")


@dataclass(frozen=True, slots=True)
class Mark:
    """The model cites a passage at a place of the released text."""

    position: int
    number: int


class MarkerFilter:
    """Releases text without the "[n]" in it. What it released never changes.

    Held back is what may yet become a marker, and the space before it; at the end of the text that is nothing.
    """

    def __init__(self) -> None:
        self.text = ""
        """What was released so far."""
        self.marks: list[Mark] = []
        self._held = ""

    def take(self, piece: str) -> str:
        """The text that is released by the next *piece*."""
        start = len(self.text)
        self._held += piece
        end = _decided(self._held)
        self._release(self._held[:end])
        self._held = self._held[end:]
        return self.text[start:]

    def _release(self, ready: str) -> None:
        position = 0
        for marker in _MARKER.finditer(ready):
            self._append(ready[position : marker.start()])
            self.marks += [Mark(len(self.text), int(number)) for number in _DIGITS.findall(marker[1])]
            position = marker.end()
        self._append(ready[position:])

    def _append(self, text: str) -> None:
        self.text += text if self.text else text.lstrip()


def _decided(text: str) -> int:
    """How much of *text* can be no part of a marker to come, nor the space before one."""
    begun = max(text.rfind("["), text.rfind("\u3010"))
    if begun >= 0 and _BEGUN.fullmatch(text, begun):
        text = text[:begun]
    return len(text.rstrip())


def without_markers(text: str) -> str:
    """*text* without anything that looks like a citation marker."""
    return _MARKER.sub("", text).strip()
