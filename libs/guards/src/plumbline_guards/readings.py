"""What a text says to a model that can undo simple encodings: the text itself, and what it hides."""

import base64
import codecs
import re
from collections.abc import Iterator
from typing import Final

from plumbline_guards.plain import plain

MAX_DECODED: Final = 20
"""Encoded runs of one text that are looked at."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{24,8192}={0,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_HEX: Final = re.compile(r"(?:(?:\\x|0x|%)?[0-9A-Fa-f]{2}[ ,]?){12,4096}")
_HEX_MARK: Final = re.compile(r"\\x|0x|[ ,%]")
_LEET: Final = re.compile(r"\b(?=\w*[a-z])(?=\w*[013457@$])[\w@$]{3,}", re.IGNORECASE)
_LEET_LETTERS: Final = str.maketrans("013457@$", "oieastas")
_SPACED: Final = re.compile(r"\b(?:\w[ .*_-]){3,}\w\b")
_BETWEEN: Final = re.compile(r"[ .*_-]")
_ROT13: Final = re.compile(r"\b(?:gur|naq|lbh|lbhe|nyy|bs|vtaber)\b", re.IGNORECASE)
_READABLE: Final = 0.9


def readings(text: str) -> Iterator[str]:
    """*text* as it reads first; then each other text that it holds: most have none."""
    seen = plain(text).text
    yield seen
    if decoded := " ".join(_decoded(seen)):
        yield decoded
    if undressed := _undressed(seen):
        yield undressed
    if _ROT13.search(seen):
        yield codecs.encode(seen, "rot13")


def _decoded(text: str) -> Iterator[str]:
    for run in [*_HEX.finditer(text)][:MAX_DECODED]:
        digits = _HEX_MARK.sub("", run[0])
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for run in [*_BASE64.finditer(text)][:MAX_DECODED]:
        body = run[0].rstrip("=").translate(_URL_SAFE)
        whole = body[: len(body) - (len(body) % 4 == 1)]  # one character of four holds no byte
        yield from _readable(base64.b64decode(whole + "=" * (-len(whole) % 4)))


def _readable(content: bytes) -> Iterator[str]:
    text = content.decode("utf-8", "ignore")
    letters = sum(character.isalpha() or character.isspace() for character in text)
    if text and " " in text and letters >= _READABLE * len(content):
        yield text


def _undressed(text: str) -> str:
    """*text* with digits for letters read as those, and spaced words closed; empty where there is neither."""
    joined, count = _SPACED.subn(lambda run: _BETWEEN.sub("", run[0]), text)
    read, dressed = _LEET.subn(lambda word: word[0].translate(_LEET_LETTERS), joined)
    return read if count or dressed else ""
