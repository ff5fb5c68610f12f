"""The public pairs of questions (qqp): which stand in which half, and which ask the same by their labels."""

import gzip
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FILE = "qqp/qqp_pairs_dev.jsonl.gz"

_ALIKE = str.maketrans(
    dict.fromkeys("\u00ad\u200b\ufeff")
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions and whether people said that they ask the same. *line* is that of the file, from 0."""

    line: int
    first: str
    second: str
    duplicate: bool


@dataclass
class _Groups:
    """Things that belong together (union and find)."""

    up: dict[str, str] = field(default_factory=dict)

    def find(self, one: str) -> str:
        self.up.setdefault(one, one)
        while self.up[one] != one:
            self.up[one] = self.up[self.up[one]]
            one = self.up[one]
        return one

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self.up[second] = first  # the least of a group names it, whatever the order


class Pairs:
    """All pairs of the file. No question stands in both halves: a half is that of all that pairs connect."""

    def __init__(self, data: Path) -> None:
        rows = [json.loads(line) for line in gzip.decompress((data / FILE).read_bytes()).splitlines()]
        self.pairs = [Pair(at, row["q1"], row["q2"], bool(row["duplicate"])) for at, row in enumerate(rows)]
        connected, same, again = _Groups(), _Groups(), _Groups()
        for pair in self.pairs:
            again.join(_plain(pair.first), _plain(pair.second))
            first, second = place(pair.first), place(pair.second)
            connected.join(first, second)
            if pair.duplicate:
                same.join(first, second)
        self._connected, self._same, self._again = connected, same, again

    def half(self, *, held_out: bool) -> Sequence[Pair]:
        """Those to report on, or those to choose by."""
        return [pair for pair in self.pairs if self._is_held_out(pair.first) is held_out]

    def unseen(self) -> Sequence[Pair]:
        """Those of the half to report on that are held out by the second split too.

        The decision was chosen on one half, measured, and changed on a half of another split: nothing was on these.
        """
        return [pair for pair in self.half(held_out=True) if self._is_held_out_again(pair.first)]

    def _is_held_out_again(self, question: str) -> bool:
        return bool(hashlib.sha256(self._again.find(_plain(question)).encode()).digest()[-1] & 1)

    def ask_the_same(self, one: str, other: str) -> bool:
        """By the labels, and by what follows from them."""
        return self._same.find(place(one)) == self._same.find(place(other))

    def _is_held_out(self, question: str) -> bool:
        return bool(hashlib.sha256(self._connected.find(place(question)).encode()).digest()[0] & 1)


def _plain(question: str) -> str:
    return " ".join(question.lower().split())


def place(question: str) -> str:
    """What is one question whatever its case, white space and quotes.

    Not the library's own form: who improves that must not move questions from one half to the other.
    """
    superscript = str.maketrans({digit: f"^{value}" for value, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
    plain = unicodedata.normalize("NFKC", question.translate(superscript).translate(_ALIKE)).casefold()
    return " ".join(plain.split()).strip(" .!?…¿¡") or question.strip()
