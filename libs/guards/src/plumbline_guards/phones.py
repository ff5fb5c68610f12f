"""Telephone numbers by the shapes in which people write them. Nothing proves one, so shape is all there is."""

import re
from collections.abc import Iterator
from typing import Final

DIGITS: Final = range(7, 16)
"""Without an extension; the most is E.164's."""

_EXTENSION: Final = r"(?:x\d{1,6})?"
_SHAPES: Final = (
    r"(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,12}(?:[ .-]\d{1,8}){0,5}",  # with a country's code
    r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",  # North America
    r"\(\d{2,4}\) ?\d{3,4}[ -]\d{3,4}",
    r"\(\d{2,4}\) ?\d{6,8}",
    r"0\d{1,4}[ .-]\d{6,8}",  # an area's code and a number
    r"0\d{1,4}(?:[ .-]\d{2,4}){2,4}",
    r"\d{2}(?P<s>[ .-])\d{2}(?P=s)\d{2}(?P=s)\d{2}(?:(?P=s)\d{2})?",
    r"\d{2,4} \d{2,3}(?: \d{2,4}){1,3}",
    r"\d{3}[ -]\d{4}",
    r"\d{4} \d{4}",
    r"\d{2} \d{6,8}",
    r"[2-9]\d{9}",
)
_PHONE: Final = re.compile(
    r"(?<![\w+./:#-])(?<!\d )(?:" + "|".join(_SHAPES) + ")" + _EXTENSION + r"(?!\w)(?![/:.-]\d)(?! \d)"
)
_LOCAL: Final = re.compile(r"[1-9]\d{1,3}(?: \d{2,4}){1,3}")
_LOCAL_DIGITS: Final = 8
_STREET: Final = re.compile(r" [^\W\d_]{2}")
_ONE_DATE: Final = re.compile(r"(?:19|20)\d\d[ .-]\d\d?[ .-]\d\d?")


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of what is written as a telephone number."""
    for candidate in _PHONE.finditer(text):
        number = candidate[0].partition("x")[0]
        digits = sum(map(str.isdigit, number))
        if digits in DIGITS and not _ONE_DATE.fullmatch(number) and not _is_address(candidate, digits):
            yield candidate.span()


def _is_address(candidate: re.Match[str], digits: int) -> bool:
    """Whether a flat's and a house's number stand before the name of a street: "Suite 913 0547 Bay Street"."""
    if digits > _LOCAL_DIGITS or not _LOCAL.fullmatch(candidate[0]):
        return False
    name = _STREET.match(candidate.string, candidate.end())
    return name is not None and name[0].strip().istitle()
