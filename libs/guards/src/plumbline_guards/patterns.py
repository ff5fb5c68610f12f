"""Everything that can be found in one unit of text, the surest first."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from plumbline_guards import secrets
from plumbline_guards.findings import Finding, Kind
from plumbline_guards.folding import INVISIBLE, fold
from plumbline_guards.links import links
from plumbline_guards.numbers import cards, ibans, ip_addresses
from plumbline_guards.phones import phones

Span = tuple[int, int]
Find = Callable[[str], Iterable[Span]]

_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]+")
_LINK_BEGINS: Final = re.compile(r":|&|[/\\]{2}|(?i:www)\.")


def _spans(pattern: re.Pattern[str], group: int | str = 0) -> Find:
    return lambda text: (match.span(group) for match in pattern.finditer(text))


@dataclass(frozen=True, slots=True)
class _Detector:
    """What it finds, how, and what the least of its findings has: without that a text is not worth a look."""

    kind: Kind
    find: Find
    holds: tuple[str, ...] = ("",)
    """One of these."""
    digits: int = 0
    length: int = 0


DETECTORS: Final = (
    _Detector(Kind.URL_CREDENTIALS, _spans(secrets.URL_CREDENTIALS), holds=("://",)),
    _Detector(Kind.SECRET, _spans(secrets.TOKEN), length=15),
    _Detector(Kind.SECRET, _spans(secrets.BEARER, "value"), holds=(" ",), length=27),
    _Detector(Kind.SECRET, _spans(secrets.ASSIGNED, "value"), holds=("=", ":")),
    _Detector(Kind.EMAIL, _spans(secrets.EMAIL), holds=("@",)),
    _Detector(Kind.IBAN, ibans, digits=2, length=15),
    _Detector(Kind.IP_ADDRESS, ip_addresses, holds=(".", ":"), digits=1),
    _Detector(Kind.CARD, cards, digits=12),
    _Detector(Kind.SSN, _spans(secrets.SSN), digits=9),
    _Detector(Kind.PHONE, phones, digits=7),
)
"""The surest first."""


def findings(text: str, is_unsafe: Callable[[str], bool] | None = None) -> list[Finding]:
    """What stands in *text*, in its order; where two could, the surer has it.

    Links are looked for if *is_unsafe* tells which ones nobody should follow; what stands in such a one goes with it.
    """
    seen, offsets = (text, None) if text.isascii() and "\t" not in text else fold(text)
    taken: list[Finding] = []
    if is_unsafe and _LINK_BEGINS.search(seen):
        _claim_links(taken, seen, offsets, is_unsafe)
    digits, length = sum(map(str.isdigit, seen)), len(seen)
    for one in DETECTORS:
        if digits >= one.digits and length >= one.length and any(text in seen for text in one.holds):
            _claim(taken, one.kind, _moved(one.find(seen), offsets))
    if offsets:
        _claim(taken, Kind.INVISIBLE, _spans(_INVISIBLE)(text))
    return sorted(taken, key=lambda finding: finding.start)


def _claim_links(taken: list[Finding], seen: str, offsets: list[int] | None, is_unsafe: Callable[[str], bool]) -> None:
    for start, end in links(seen):
        if is_unsafe(seen[start:end]):
            kind = Kind.URL_CREDENTIALS if secrets.URL_CREDENTIALS.match(seen, start, end) else Kind.UNSAFE_LINK
            _claim(taken, kind, _moved([(start, end)], offsets))


def _moved(spans: Iterable[Span], offsets: list[int] | None) -> Iterator[Span]:
    for start, end in spans:
        yield (offsets[start], offsets[end - 1] + 1) if offsets else (start, end)


def _claim(taken: list[Finding], kind: Kind, spans: Iterable[Span]) -> None:
    for start, end in spans:
        if all(end <= other.start or other.end <= start for other in taken):
            taken.append(Finding(kind, start, end))
