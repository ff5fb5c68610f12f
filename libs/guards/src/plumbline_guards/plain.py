"""A text as it reads: what is not seen is left out, letters dressed up as others become those."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Final

from plumbline_guards.findings import Kind
from plumbline_guards.folding import INVISIBLE

_OTHERS: Final = (
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0455\u0456\u0458\u0475\u04bb\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408"
    "\u03b1\u03b3\u03b9\u03bd\u03bf\u03c1\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d"
    "\u039f\u03a1\u03a4\u03a5\u03a7\u0131\u0251\u0261\u0578\u057d\u0585\u0570\u0581"
)
_LATINS: Final = "aceopxysijvhdqwABEKMHOPCTYXSIJayivopABEZHIKMNOPTYXiagnuohg"
LOOK_ALIKES: Final = str.maketrans(_OTHERS, _LATINS)
"""Cyrillic, Greek, Armenian and phonetic letters that look like a Latin one (Unicode's confusables, UTS 39)."""

DOTLESS: Final = "\u0131"
"""Turkish and Azerbaijani are written with it: in a text it stands in for nothing, in a host's name it may."""
_STAND_INS: Final = {code: latin for code, latin in LOOK_ALIKES.items() if code != ord(DOTLESS)}

_SEEN_OTHERWISE: Final = re.compile(f"[{INVISIBLE}]+")
_DRESSED: Final = re.compile("[\u24b6-\u24e9\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff]+")
"""Circled, wide and mathematical letters: compatibility forms (NFKC) of one Latin or Greek letter each."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Plain:
    """A text as it reads, and how much of each kind was made plain."""

    text: str
    counts: Counter[Kind]


def plain(text: str) -> Plain:
    """*text* without what is not seen, and with Latin letters where others stand in for them.

    A letter of another script is one that stands in only within a word that has Latin letters and none that is neither:
    words of Cyrillic or Greek stay, and so does one with an ending of another script.
    """
    counts = Counter[Kind]()
    if text.isascii():
        return Plain(text, counts)
    seen, counts[Kind.INVISIBLE] = _SEEN_OTHERWISE.subn("", text)
    dressed, undressed = _DRESSED.subn(lambda run: unicodedata.normalize("NFKC", run[0]), seen)
    read, mixed = _unmixed(dressed)
    counts[Kind.LOOK_ALIKE] = undressed + mixed
    return Plain(read, +counts)


def is_mixed(word: str) -> bool:
    """Whether other scripts' letters stand in for Latin ones in *word*."""
    if word.isascii() or not _LATIN.search(word):
        return False
    return word.translate(_STAND_INS).isascii()


def _unmixed(text: str) -> tuple[str, int]:
    """*text* with its mixed words in Latin letters, and how many there were."""
    mixed = [word for word in _WORD.finditer(text) if is_mixed(word[0])]
    for word in reversed(mixed):
        text = text[: word.start()] + word[0].translate(_STAND_INS) + text[word.end() :]
    return text, len(mixed)
