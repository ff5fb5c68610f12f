"""How much of its text a document shares with another, told from a sketch of each.

MinHash: A. Broder, On the resemblance and containment of documents (1997). Of each of its hashes a sketch keeps 8 bits:
P. Li and C. König, b-Bit minwise hashing (2010).
"""

import base64
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHINGLE: Final = 3
"""Words in a row that count as one piece of a text."""
MIN_WORDS: Final = 20
"""A text of fewer has no sketch: one other word would change most of its pieces."""
NEAR: Final = 0.75
"""From this similarity on two texts are nearly the same: one is the other with a tenth rewritten in one place, say."""
BANDS: Final = 14
ROWS: Final = 5
"""Two texts are compared if one band, ROWS hashes in a row, is the same in both. That is so of 1 - (1 - s^ROWS)^BANDS
of those of similarity s: 0.996 at 0.8, 0.977 at 0.75, 0.36 at 0.5, 0.03 at 0.3."""
HASHES: Final = 240
"""As many as the bands need would tell the similarity to 0.05 (standard deviation at 0.75); these tell it to 0.03."""

Hashes = NDArray[np.uint64]

_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
"""In scripts that put no space between words, a character stands for one."""
_TURN: Final = 50_000
"""Characters that are looked at in one go: the interpreter serves nobody else meanwhile."""
_BLOCK: Final = 512
"""Pieces that are hashed at once: their hashes stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Near:
    """A document whose text is nearly that of another."""

    document_id: str
    similarity: float
    """The share of all pieces of both texts that are in both (Jaccard), in [0, 1], estimated."""


def sketch(text: str) -> str:
    """What `nearest` needs of *text*, as base64; empty for a text of fewer than MIN_WORDS words.

    Case, marks, white space and Unicode's variants do not count.
    """
    words = _words(text)
    return base64.b64encode(_smallest(_pieces(words)).tobytes()).decode() if len(words) >= MIN_WORDS else ""


def bands(sketched: str) -> list[str]:
    """Keys of which texts of similarity NEAR or more almost always have one in common; none for an empty sketch."""
    if not sketched:
        return []
    hashes = base64.b64decode(sketched)
    return [f"{band}:{hashes[band * ROWS : (band + 1) * ROWS].hex()}" for band in range(BANDS)]


def nearest(sketched: str, others: Mapping[str, str]) -> list[Near]:
    """Of *others*, sketches by document id, those of similarity NEAR or more, most similar first."""
    if not others:
        return []
    names = sorted(others)
    pairs = zip(names, _similarities(sketched, [others[name] for name in names]), strict=True)
    return sorted((Near(name, each) for name, each in pairs if each >= NEAR), key=lambda near: -near.similarity)


def _similarities(sketched: str, others: Sequence[str]) -> list[float]:
    rows = np.frombuffer(base64.b64decode("".join(others)), np.uint8).reshape(-1, HASHES)
    same = (rows == np.frombuffer(base64.b64decode(sketched), np.uint8)).mean(axis=1)
    return [float(each) for each in np.maximum(0.0, (same - _BY_CHANCE) / (1 - _BY_CHANCE))]


def _words(text: str) -> list[str]:
    """The words in one form. A word at a seam may be two: that hardly counts, and others get their turn in between."""
    seams = range(0, len(text), _TURN)
    return [word for seam in seams for word in _WORD.findall(_one_form(text[seam : seam + _TURN]))]


def _one_form(text: str) -> str:
    return unicodedata.normalize("NFKC", text.replace("\u00ad", "")).casefold()  # a soft hyphen stands inside a word


def _pieces(words: Sequence[str]) -> Hashes:
    """A hash of each SHINGLE words in a row."""
    known = {word: _hash(word) for word in set(words)}
    each = np.fromiter((known[word] for word in words), np.uint64, len(words))
    count = len(words) - SHINGLE + 1
    mixed = np.zeros(count, np.uint64)
    for place in range(SHINGLE):
        mixed = (mixed ^ each[place : place + count]) * _ODD  # the place counts: "not only" is not "only not"
        mixed ^= mixed >> np.uint64(32)
    return mixed


def _smallest(pieces: Hashes) -> NDArray[np.uint8]:
    """Of each of HASHES orders of all pieces, 8 bits of the first that the text has."""
    least = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(pieces), _BLOCK):
        block = pieces[start : start + _BLOCK, None] * _FACTORS + _SUMMANDS
        np.minimum(least, block.min(axis=0), out=least)
    return (least >> np.uint64(24)).astype(np.uint8)  # the highest bits of a smallest number are zeros


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


_BY_CHANCE: Final = 1 / 256
# From a hash and not from a random generator, whose numbers may change with its release: sketches are kept.
_FACTORS: Final = np.array([_hash(f"factor {number}") | 1 for number in range(HASHES)], np.uint64)
_SUMMANDS: Final = np.array([_hash(f"summand {number}") for number in range(HASHES)], np.uint64)
_ODD: Final = np.uint64(_hash("odd") | 1)
