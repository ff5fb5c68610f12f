"""Texts as sets of hashed n-grams: of words, and of characters within words."""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plumbline_guards.plain import DOTLESS

Buckets = NDArray[np.int64]
Row = tuple[NDArray[np.int64], NDArray[np.uint64]]
"""Of n-grams of one length: the index of each one's text, and its hash."""

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


@dataclass(frozen=True, slots=True)
class Found:
    """The n-grams of several texts: for each the text's index and the bucket, in that order, no pair twice."""

    texts: NDArray[np.int64]
    buckets: Buckets


def ngrams(text: str) -> Buckets:
    """The buckets, in [0, BUCKETS), of what stands in *text*, each once and sorted.

    Case, accents and the width of spaces do not count.
    """
    return ngrams_of([text]).buckets


def ngrams_of(texts: Sequence[str]) -> Found:
    """`ngrams` of each of *texts*, in one go: numpy takes as long for one short text as for a hundred."""
    words = [_TOKEN.findall(_unaccented(text[:MAX_CHARACTERS])) for text in texts]
    rows = [*_of_words(words), *_of_characters(words)]
    buckets = _mixed(np.concatenate([hashed for _, hashed in rows])) % np.uint64(BUCKETS)
    owners = np.concatenate([owners for owners, _ in rows])
    pairs = np.sort(owners * BUCKETS + buckets.astype(np.int64))
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]  # np.unique hashes first, which takes longer
    return Found(pairs // BUCKETS, pairs % BUCKETS)


def _unaccented(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace(DOTLESS, "i"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _of_words(texts: Sequence[list[str]]) -> Iterator[Row]:
    """Of one to three words in a row; a number counts by its length."""
    codes = [
        zlib.crc32((("0" * len(word)) if word[0].isdigit() else word).encode("utf-8", "replace"))
        for words in texts
        for word in words
    ]
    owners, ones = _owners(map(len, texts)), np.array(codes, np.uint64)
    row = ones
    for index in range(WORDS):
        row = _joined(row, ones) if index else ones
        within = owners[: len(row)] == owners[len(owners) - len(row) :]
        yield owners[: len(row)][within], row[within] + np.uint64(index)


def _of_characters(texts: Sequence[list[str]]) -> Iterator[Row]:
    """Of characters within one word, a space before and behind it counting as its own."""
    lines = [f" {' '.join(words)} " if words else "" for words in texts]
    codes = np.frombuffer("".join(lines).encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    owners, is_space, row = _owners(map(len, lines)), codes == _SPACE, _joined(codes, codes)
    crosses = np.zeros(len(row), bool)
    for size in CHARACTERS:
        row = _joined(row, codes)
        crosses = crosses[: len(row)] | is_space[size - 2 : size - 2 + len(row)]  # two spaces part two texts
        yield owners[: len(row)][~crosses], row[~crosses] + np.uint64(size << 4)


def _owners(lengths: Iterable[int]) -> NDArray[np.int64]:
    """For each word or character the index of its text."""
    counts = list(lengths)
    return np.repeat(np.arange(len(counts)), counts)


def _joined(row: NDArray[np.uint64], ones: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each run of *row* made longer by the one of *ones* that follows it."""
    count = max(0, len(row) - 1)
    return row[:count] * _STEP + ones[len(ones) - count :]


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3: without it, neighbours would fall into neighbouring buckets."""
    for mixer in _MIXERS:
        values = (values ^ (values >> _HALF)) * mixer
    return values ^ (values >> _HALF)
