"""Texts as sets of hashed n-grams: of words, and of characters within words."""

import re
import unicodedata
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

Buckets = NDArray[np.int64]

BUCKETS: Final = 2**18
MAX_CHARACTERS: Final = 20_000
"""Of one text; more is not read."""
WORDS: Final = 3
"""In a row, at most."""
CHARACTERS: Final = range(3, 6)
"""In a row, within one word."""

_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_SPACE: Final = 32
_STEP: Final = np.uint64(0x100000001B3)
_MIXERS: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_HALF: Final = np.uint64(33)


def ngrams(text: str) -> Buckets:
    """The buckets, in [0, BUCKETS), of what stands in *text*, each once and sorted.

    Case, accents and the width of spaces do not count.
    """
    words = _TOKEN.findall(_unaccented(text[:MAX_CHARACTERS]))
    if not words:
        return np.empty(0, np.int64)
    hashed = np.concatenate([*_of_words(words), *_of_characters(words)])
    found: Buckets = np.unique(_mixed(hashed) % np.uint64(BUCKETS)).astype(np.int64)
    return found


def _unaccented(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _of_words(words: list[str]) -> list[NDArray[np.uint64]]:
    """Of one to three words in a row; a number counts by its length."""
    codes = [
        zlib.crc32((("0" * len(word)) if word[0].isdigit() else word).encode("utf-8", "replace")) for word in words
    ]
    ones = np.array(codes, np.uint64)
    rows = [ones]
    for _ in range(WORDS - 1):
        rows.append(_joined(rows[-1], ones))
    return [row + np.uint64(index) for index, row in enumerate(rows)]


def _of_characters(words: list[str]) -> list[NDArray[np.uint64]]:
    """Of characters within one word, a space before and behind it counting as its own."""
    codes = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    is_space, rows, row = codes == _SPACE, list[NDArray[np.uint64]](), _joined(codes, codes)
    crosses = np.zeros(len(row), bool)
    for size in CHARACTERS:
        row = _joined(row, codes)
        crosses = crosses[:-1] | is_space[size - 2 : size - 2 + len(row)]
        rows.append(row[~crosses] + np.uint64(size << 4))
    return rows


def _joined(row: NDArray[np.uint64], ones: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each run of *row* made longer by the one of *ones* that follows it."""
    count = max(0, len(row) - 1)
    return row[:count] * _STEP + ones[len(ones) - count :]


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3: without it, neighbours would fall into neighbouring buckets."""
    for mixer in _MIXERS:
        values = (values ^ (values >> _HALF)) * mixer
    return values ^ (values >> _HALF)
