"""Which passages the model reads, and how much of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_generation.domain.answer import Passage
from plumbline_models.text import sentences

Offsets = Callable[[str], list[tuple[int, int]]]
"""Where each token of a text lies, in code points, end exclusive."""

FRAME_TOKENS: Final = 6
"""What the number, the marks and the line end around one passage take."""
LEAST_TOKENS: Final = 16
"""The first passage keeps so many tokens, whatever its title takes."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A passage and the beginning of its text that the model reads."""

    passage: Passage
    text: str


def pack(passages: Sequence[Passage], budget: int, offsets: Offsets) -> tuple[Packed, ...]:
    """The best passages within *budget* tokens, in their order.

    The one that does not fit is cut at the end of a sentence, and nothing comes after it. The first always enters,
    cut inside its first sentence if need be. Passages without text are left out.
    """
    packed: list[Packed] = []
    for passage in passages:
        if not passage.text.strip():
            continue
        room = budget - FRAME_TOKENS - len(offsets(passage.title))
        tokens = offsets(passage.text)
        text = passage.text if len(tokens) <= room else _cut(passage.text, tokens, room, first=not packed)
        if text:
            packed.append(Packed(passage, text))
        if text != passage.text:
            break
        budget = room - len(tokens)
    return tuple(packed)


def _cut(text: str, tokens: Sequence[tuple[int, int]], room: int, *, first: bool) -> str:
    """The longest run of whole sentences that fits, which may be none."""
    room = max(room, LEAST_TOKENS) if first else room
    if room <= 0:
        return ""
    limit = tokens[:room][-1][1]
    ends = [span.end for span in sentences(text) if span.end <= limit]
    return text[: ends[-1]] if ends else text[:limit] if first else ""
