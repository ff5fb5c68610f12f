"""A string that must never leave, in a text that comes in pieces. What is not seen within it does not hide it."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from plumbline_guards.folding import INVISIBLE, JOINERS, SPACES

MOST_BEGUN: Final = 1_024
"""Characters at the end of a text in which the canary may have begun."""

_UNSEEN: Final = re.compile(f"[{INVISIBLE}{JOINERS}]")
_ALL_UNSEEN: Final = f"[{INVISIBLE}{JOINERS}]*"
_SPACE: Final = re.compile(f"[{SPACES}]")
_NOWHERE: Final = r"(?!)"


@lru_cache(maxsize=64)
def canary(text: str) -> "Canary":
    """The one for *text*, which is not empty."""
    return Canary(text)


class Canary:
    """Kinds of spaces count as one; letters must be as they are."""

    def __init__(self, text: str) -> None:
        self._text = _seen(text)
        characters = [f"[{SPACES}]" if character == " " else re.escape(character) for character in self._text]
        self._pattern = re.compile(_ALL_UNSEEN.join(characters) or _NOWHERE)

    def find(self, text: str) -> Iterator[re.Match[str]]:
        """Where it stands."""
        return self._pattern.finditer(text)

    def begun(self, text: str) -> int:
        """How many characters at the end of *text* it may begin with."""
        tail = text[-MOST_BEGUN:]
        seen = _seen(tail)
        longest = min(len(self._text) - 1, len(seen))
        size = next((size for size in range(longest, 0, -1) if seen.endswith(self._text[:size])), 0)
        return size if tail.isascii() else _characters(tail, size)


def _seen(text: str) -> str:
    return _SPACE.sub(" ", text if text.isascii() else _UNSEEN.sub("", text))


def _characters(tail: str, size: int) -> int:
    """How many stand at the end of *tail* from the last but *size* on that are seen."""
    count = 0
    while size:
        count += 1
        size -= _UNSEEN.match(tail[-count]) is None
    return count
