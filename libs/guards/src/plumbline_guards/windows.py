"""A document in pieces of about a sentence, so that one instruction within much text is seen by itself."""

import re
from collections.abc import Iterator
from typing import Final

SHORTEST: Final = 25
"""Characters; a shorter piece joins the next."""
LONGEST: Final = 400
MOST: Final = 500
"""Pieces of one document."""

_END: Final = re.compile(
    r"(?<=[.!?\u2026])[\"'\u2019\u201d)\]]*\s+|(?<=[\u3002\uff01\uff1f])|\s*[\n|]\s*|(?<=[.!?])(?=[A-Z][a-z])"
)


def windows(text: str) -> list[str]:
    """The pieces of *text*, in their order; at least one. What lies beyond the first MOST is in the last of them."""
    pieces = list(_pieces(text))
    return [*pieces[: MOST - 1], " ".join(pieces[MOST - 1 :])] if len(pieces) > MOST else pieces or [text]


def _pieces(text: str) -> Iterator[str]:
    begun = ""
    for part in _END.split(text):
        begun = f"{begun} {part}".strip()
        while len(begun) > LONGEST:
            cut = begun.rfind(" ", SHORTEST, LONGEST)
            cut = cut if cut > 0 else LONGEST
            yield begun[:cut]
            begun = begun[cut:].strip()
        if len(begun) >= SHORTEST:
            yield begun
            begun = ""
    if begun:
        yield begun
