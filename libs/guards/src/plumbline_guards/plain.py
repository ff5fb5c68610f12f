"""A text as it reads: what is not seen is left out, letters dressed up as others become those."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Final

from plumbline_guards.findings import Kind
from plumbline_guards.folding import INVISIBLE

# fmt: off
LOOK_ALIKES: Final = str.maketrans({
    "\u0430": "a", "\u0432": "b", "\u0435": "e", "\u0451": "e", "\u043a": "k", "\u043c": "m", "\u043d": "h",
    "\u043e": "o", "\u0440": "p", "\u0441": "c", "\u0442": "t", "\u0443": "y", "\u0445": "x", "\u0455": "s",
    "\u0456": "i", "\u0457": "i", "\u0458": "j", "\u0475": "v", "\u04bb": "h", "\u0501": "d", "\u051b": "q",
    "\u051d": "w", "\u0410": "A", "\u0412": "B", "\u0415": "E", "\u041a": "K", "\u041c": "M", "\u041d": "H",
    "\u041e": "O", "\u0420": "P", "\u0421": "C", "\u0422": "T", "\u0423": "Y", "\u0425": "X", "\u0405": "S",
    "\u0406": "I", "\u0408": "J", "\u03b1": "a", "\u03b3": "y", "\u03b5": "e", "\u03b9": "i", "\u03ba": "k",
    "\u03bd": "v", "\u03bf": "o", "\u03c1": "p", "\u03c4": "t", "\u03c5": "u", "\u03c7": "x", "\u0391": "A",
    "\u0392": "B", "\u0395": "E", "\u0396": "Z", "\u0397": "H", "\u0399": "I", "\u039a": "K", "\u039c": "M",
    "\u039d": "N", "\u039f": "O", "\u03a1": "P", "\u03a4": "T", "\u03a5": "Y", "\u03a7": "X", "\u0131": "i",
    "\u0251": "a", "\u0261": "g", "\u0578": "n", "\u057d": "u", "\u0585": "o", "\u0570": "h", "\u0581": "g",
})
# fmt: on
"""Cyrillic, Greek, Armenian and phonetic letters that Unicode's table of confusables (UTS 39) gives a Latin one."""

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
    return word.translate(LOOK_ALIKES).isascii()


def _unmixed(text: str) -> tuple[str, int]:
    """*text* with its mixed words in Latin letters, and how many there were."""
    mixed = [word for word in _WORD.finditer(text) if is_mixed(word[0])]
    for word in reversed(mixed):
        text = text[: word.start()] + word[0].translate(LOOK_ALIKES) + text[word.end() :]
    return text, len(mixed)
