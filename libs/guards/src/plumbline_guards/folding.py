"""Texts that look the same read the same: what cannot be seen is left out, wide characters and dashes become ASCII."""

import re
from typing import Final

INVISIBLE: Final = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0001\U000e0020-\U000e007f"
"""Of a pattern's class: what no text needs to be read. Tag characters spell hidden instructions."""
JOINERS: Final = "\u200c\u200d\ufe0e\ufe0f"
"""Emoji, Persian and Indic scripts need these: they are skipped, but are no finding."""
DASHES: Final = "\u2010-\u2015\u2212"
WIDE: Final = "\uff01-\uff5e"

_SKIPPED: Final = re.compile(f"[{INVISIBLE}{JOINERS}]")
_DASH: Final = re.compile(f"[{DASHES}]")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SPACES: Final = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\t"), " ")


def fold(text: str) -> tuple[str, list[int]]:
    """*text* to search in, and for each of its characters and its end the offset in *text*."""
    kept = [index for index, character in enumerate(text) if not _SKIPPED.match(character)]
    seen = "".join(text[index] for index in kept).translate(_SPACES).translate(_FULL_WIDTH)
    return _DASH.sub("-", seen), [*kept, len(text)]
