"""Texts that look the same read the same: what cannot be seen is left out; wide letters, digits, dashes are ASCII."""

import re
from typing import Final

INVISIBLE: Final = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0001\U000e0020-\U000e007f"
"""Of a pattern's class: what no text needs to be read. Tag characters spell hidden instructions."""
_FILLERS: Final = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_SELECTORS: Final = "\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_MARKS: Final = "\u0300-\u034e\u0350-\u036f\u20d0-\u20f0"
JOINERS: Final = f"\u200c\u200d{_FILLERS}{_SELECTORS}{_MARKS}"
"""Emoji, accents and the scripts of Asia need these: they are skipped, but are no finding."""
SPACES: Final = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
DASHES: Final = "\u2010-\u2015\u2212"
WIDE: Final = "\uff01-\uff5e"

_SKIPPED: Final = re.compile(f"[{INVISIBLE}{JOINERS}]")
_DASH: Final = re.compile(f"[{DASHES}]")
_SPACE: Final = re.compile(f"[{SPACES}]")
_DIGIT: Final = re.compile(r"(?![0-9])\d")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def fold(text: str) -> tuple[str, list[int]]:
    """*text* to search in, and for each of its characters and its end the offset in *text*."""
    kept = [index for index, character in enumerate(text) if not _SKIPPED.match(character)]
    seen = "".join(text[index] for index in kept).translate(_FULL_WIDTH)
    seen = _DIGIT.sub(lambda digit: str(int(digit[0])), seen)
    return _DASH.sub("-", _SPACE.sub(" ", seen)), [*kept, len(text)]
