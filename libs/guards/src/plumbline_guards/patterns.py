"""Everything that can be found in one unit of text, the surest first."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from plumbline_guards import secrets
from plumbline_guards.findings import Finding, Kind
from plumbline_guards.folding import INVISIBLE, fold
from plumbline_guards.links import links
from plumbline_guards.numbers import cards, ibans, ip_addresses
from plumbline_guards.phones import phones

Span = tuple[int, int]
Detector = Callable[[str], Iterable[Span]]

_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]+")


def _spans(pattern: re.Pattern[str], group: int | str = 0) -> Detector:
    return lambda text: (match.span(group) for match in pattern.finditer(text))


DETECTORS: Final[tuple[tuple[Kind, str, Detector], ...]] = (
    (Kind.URL_CREDENTIALS, "://", _spans(secrets.URL_CREDENTIALS)),
    (Kind.SECRET, "", _spans(secrets.TOKEN)),
    (Kind.SECRET, "", _spans(secrets.BEARER, "value")),
    (Kind.SECRET, "", _spans(secrets.ASSIGNED, "value")),
    (Kind.EMAIL, "@", _spans(secrets.EMAIL)),
    (Kind.IBAN, "", ibans),
    (Kind.IP_ADDRESS, "", ip_addresses),
    (Kind.CARD, "", cards),
    (Kind.SSN, "", _spans(secrets.SSN)),
    (Kind.PHONE, "", phones),
)
"""In each row: what it finds, what must stand in the text for it to be worth a look, and how."""


def findings(text: str, is_unsafe: Callable[[str], bool] | None = None) -> list[Finding]:
    """What stands in *text*, in its order; where two could, the surer has it.

    Links are looked for if *is_unsafe* tells which ones nobody should follow; what stands in such a one goes with it.
    """
    seen, offsets = (text, None) if text.isascii() and "\t" not in text else fold(text)
    taken: list[Finding] = []
    if is_unsafe:
        _claim_links(taken, seen, offsets, is_unsafe)
    for kind, needed, detect in DETECTORS:
        if needed in seen:
            _claim(taken, kind, _moved(detect(seen), offsets))
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
