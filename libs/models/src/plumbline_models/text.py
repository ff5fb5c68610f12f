"""Text rules without a model: sentences, content words, numbers, one form for what means the same."""

import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import snowballstemmer  # type: ignore[import-untyped]  # ships no types


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text, in Unicode code points, end exclusive."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The piece itself."""
        return text[self.start : self.end]


_STOP_WORDS: Final = """
    a about also am an and any are as at be been being but by can could did do does doing done each either for from
    had has have having he her here hers herself him himself his how i if in into is it its itself just let many may
    me might mine much my myself of on onto or our ours ourselves own please shall she should since so some such than
    that the their theirs them themselves then there these they this those to too upon us very was we were what when
    where which while who whom whose why will with would you your yours yourself
    d ll m re s t ve
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
"""English words without content. Words that deny (no, not, never, without) are content."""

_ENDINGS: Final = ("s", "ll", "re", "ve", "d", "m")  # after an apostrophe

_NUMBER_WORDS: Final = "one two three four five six seven eight nine ten eleven twelve"
SAME: Final = {word: str(value) for value, word in enumerate(_NUMBER_WORDS.split(), start=1)} | {
    "cannot": "not",
    "eur": "euro",
    "usd": "dollar",
    "gbp": "pound",
}
"""Words with another form of the same meaning."""

_ABBREVIATIONS: Final = """
    adm al approx apt ave capt cf co col corp dept dr e.g ed eds eg esp est et etc fig figs gen gov hon i.e ie inc jr
    lt ltd max min mr mrs ms mt no nos op p pp prof rep rev sen sgt sr st tel viz vol vs
"""
ABBREVIATIONS: Final = frozenset(_ABBREVIATIONS.split())
_MAY_END_A_SENTENCE: Final = "al co corp etc inc jr ltd max min no sr tel"
MAY_END_A_SENTENCE: Final = frozenset(_MAY_END_A_SENTENCE.split())
"""Abbreviations that do end a sentence where a capital follows."""

_SUPERSCRIPTS: Final = str.maketrans({digit: f"^{value}" for value, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_INVISIBLE: Final = dict.fromkeys(
    map(
        chr,
        (
            *(0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F)),  # soft hyphen, spaces of no width,
            *(*range(0x2060, 0x2070), 0xFEFF),  # marks of direction,
            *(0xE0001, *range(0xE0020, 0xE0080)),  # tags
        ),
    )
)
"""What is not seen. Joiners are none: Persian and the scripts of India spell with them. Nor are selectors
of a look, which can spell a message."""
_APOSTROPHES: Final = dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4`", "'")
_QUOTES: Final = dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')
_DASHES: Final = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
_VARIANTS: Final = str.maketrans({**_INVISIBLE, **_APOSTROPHES, **_QUOTES, **_DASHES})
_SIGNS: Final = str.maketrans({"€": " euro ", "$": " dollar ", "£": " pound ", "%": " percent "})
_SIGN: Final = re.compile("[€$£%]")

_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_DIGIT: Final = re.compile(r"(?![0-9])\d")
_CLOSES: Final = re.compile(r"[\s.,;:?…。؟،]|(?<!\d)(?<!\))(?<!\b\w)!")
_CLAUSE: Final = re.compile(rf"(?<=[^\W\d_])(?:{_CLOSES.pattern})+(?=\s)")

_WORD: Final = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]\w*(?:'[^\W\d_]+|(?<=\d)\.\d+)*")
_ENGLISH_NUMBER: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)*")

_CLOSING: Final = r"[\"'\u2019\u201d\u00bb)\]]*(?:\s*\[\d+\])*"  # quotes, brackets, citation markers
_BULLET: Final = r"(?:[-*\u2022\u2013]|\d{1,3}[.)])[ \t]"
_END: Final = re.compile(
    rf"(?P<mark>[.!?\u2026]+){_CLOSING}(?=\s|$)"
    rf"|[\u3002\uff01\uff1f]+{_CLOSING}"
    rf"|\n\s*\n"
    rf"|\n(?=[ \t]*{_BULLET})"
    rf"|\n(?![ \t]*[a-z])"
)
_MARK: Final = re.compile("[.!?\u2026\u3002\uff01\uff1f\\n]")
"""Without one of these no end is an end."""
LOOK_BEHIND: Final = 64
"""Characters before a full stop that decide whether it ends a sentence."""
_NEXT: Final = re.compile(r"\s*(\S?)")
_LIST_NUMBER: Final = re.compile(r"^[ \t]*\d{1,3}$", re.MULTILINE)
_LAST_WORD: Final = re.compile(r"[^\s(\[\"'\u2018\u201c]*$")
_INITIALS: Final = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()  # a stemmer keeps the word it works on


def normalise(text: str) -> str:
    """One form for texts that differ only in case, white space, quotes, dashes or marks that end a clause.

    Unicode NFKC and in lower case, digits of every script as 0 to 9, without what is not seen. Marks within a word or a
    number, symbols and brackets stay, and "!" where it may be a factorial: they can change what is asked.
    """
    plain = _lowered(_CONTROL.sub("", text))
    return _open_ended(_CLAUSE.sub("", " ".join(plain.split()))).lstrip(" ¿¡")


def _open_ended(text: str) -> str:
    """Without the marks at its end. A pattern would look at each mark of a long row once more for all that follow."""
    end = len(text)
    while end and _CLOSES.match(text, end - 1):
        end -= 1
    return text[:end]


def content_words(text: str) -> list[str]:
    """The stems of the words with content, in order, numbers in one form: "1,299.00" is "1299".

    Stop words and stems are English. "doesn't" gives "not"; number words up to twelve are numbers and "€" is "euro".
    """
    return [form for word in _WORD.findall(_signed(_plain(text))) for form in _forms(word)]


def is_number(word: str) -> bool:
    """Whether one of the `content_words` is a number."""
    return word[0].isdigit()


def sentences(text: str, start: int = 0) -> list[Span]:
    """The sentences in order; every character that is not white space lies in exactly one.

    Abbreviations, initials, decimals and list numbers end none; empty lines, list items and lines that
    begin with anything but a lower-case letter begin one. From the end of a sentence, *start*, on: the same as those
    of the whole text.
    """
    return list(each_sentence(text, start))


def each_sentence(text: str, start: int = 0) -> Iterator[Span]:
    """The same one by one: the first costs no more than itself."""
    for match in _END.finditer(text, start):
        if _is_end(text, match):
            if (span := _trimmed(text, start, match.end())).start < span.end:
                yield span
            start = match.end()
    if (span := _trimmed(text, start, len(text))).start < span.end:
        yield span


@lru_cache(maxsize=1024)  # popular passages come again and again
def sentence_words(text: str) -> tuple[tuple[Span, tuple[str, ...]], ...]:
    """The `sentences` of a whole text, each with its `content_words`."""
    return tuple((span, tuple(content_words(span.of(text)))) for span in sentences(text))


def may_end(text: str, start: int = 0) -> bool:
    """Whether a sentence of *text* can end from *start* on, but at the end of the text. Cheap; false is certain."""
    return _MARK.search(text, start) is not None


def _lowered(text: str) -> str:
    if text.isascii():
        return text.replace("`", "'").lower()
    digits = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), _compatible(text))
    # Not casefolded: that would make of a German measure (Maße) a mass.
    return unicodedata.normalize("NFKC", digits.lower())


def _plain(text: str) -> str:
    if text.isascii():
        return text.replace("`", "'").lower()
    return _compatible(text).casefold()


def _compatible(text: str) -> str:
    # NFKC would make 10² into 102.
    return unicodedata.normalize("NFKC", text.translate(_SUPERSCRIPTS)).translate(_VARIANTS)


def _signed(text: str) -> str:
    return text.translate(_SIGNS) if _SIGN.search(text) else text


@lru_cache(maxsize=50_000)
def _forms(word: str) -> tuple[str, ...]:
    """At most one form of a word; none of one without content."""
    if word[0].isdecimal():
        return (_number(word),)
    if word.endswith("n't"):
        return ("not",)
    head, apostrophe, ending = word.rpartition("'")
    word = head if apostrophe and ending in _ENDINGS else word
    if word in STOP_WORDS:
        return ()
    return (SAME.get(word) or _stem(word),)


def _number(word: str) -> str:
    if not _ENGLISH_NUMBER.fullmatch(word):  # a decimal comma, as in 1.299,00
        word = word.replace(".", "").replace(",", ".")
    word = word.replace(",", "")
    if word.count(".") == 1:
        word = word.rstrip("0").rstrip(".")
    return word.lstrip("0") if word.lstrip("0")[:1].isdecimal() else f"0{word.lstrip('0')}"


def _stem(word: str) -> str:
    with _stemmer_lock:
        return str(_stemmer.stemWord(word))


def _is_end(text: str, match: re.Match[str]) -> bool:
    if match["mark"] is None:
        return True
    following = _following(text, match.end())
    if following.islower():
        return False
    return match["mark"] != "." or not _is_abbreviated(
        text[max(0, match.start() - LOOK_BEHIND) : match.start()], following
    )


def _following(text: str, position: int) -> str:
    match = _NEXT.match(text, position)
    return match[1] if match else ""


def _is_abbreviated(before: str, following: str) -> bool:
    if _LIST_NUMBER.search(before):
        return True
    last = _LAST_WORD.search(before)
    word = last[0].casefold() if last else ""
    if _INITIALS.fullmatch(word):
        return word != "i" and following != ""
    return word in ABBREVIATIONS and not (word in MAY_END_A_SENTENCE and following.isupper())


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))
