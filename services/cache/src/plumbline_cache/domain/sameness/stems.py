"""The stems of one word of a question."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from plumbline_models.text import content_words

USUAL: Final = 24
"""Characters. Few words make most of all questions, and longer ones are not worth their room."""


def stems_of(word: str) -> Sequence[str]:
    """Those of *word*; itself where it has none."""
    return _usual(word) if len(word) <= USUAL else _stems(word)


def _stems(word: str) -> Sequence[str]:
    return tuple(content_words(word)) or (word,)


_usual: Final = lru_cache(maxsize=16_384)(_stems)
