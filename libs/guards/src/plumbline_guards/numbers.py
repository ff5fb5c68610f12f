"""Numbers that prove themselves: payment cards, IBANs, IP addresses."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Final

CARD_DIGITS: Final = range(12, 20)
# fmt: off
IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}
# fmt: on
"""Characters by country, of the registry that ISO 13616 names."""

_ISSUER: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}$"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}$"  # Mastercard
    r"|3[47]\d{13}$"  # American Express
    r"|3(?:0[0-59]|[689]\d)\d{11}(?:\d\d){0,1}$"  # Diners Club
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}(?:\d{3})?$"  # Discover
    r"|35\d{14}(?:\d{3})?$|(?:2131|1800)\d{11}$"  # JCB
    r"|62\d{14,17}$"  # UnionPay
    r"|(?:5[06-8]|6[0-9])\d{10,17}$"  # Maestro
)
"""First digits and lengths by issuer (ISO/IEC 7812): one number in ten passes Luhn's check alone."""
_DIGITS: Final = re.compile(r"\d+")
_BETWEEN: Final = r"(?: {1,2}|[-.])"
_CHAIN: Final = re.compile(rf"(?<!\d)(?=(?:\d{_BETWEEN}?){{{CARD_DIGITS.start - 1}}}\d)\d+(?:{_BETWEEN}\d+)*")
"""Groups of digits, as many as a card has. Letters may stand beside them."""
_CARD_BEGINS: Final = re.compile(r"[456]|3[0-9]|2[1-7]|18")
_IBAN_BEGINS: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}")
_IBAN_REST: Final = re.compile(r"(?:[ -]?[A-Za-z0-9])*")
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)

Span = tuple[int, int]


def cards(text: str) -> Iterator[Span]:
    """Runs of whole groups of digits that an issuer may have given out and that pass Luhn's check (ISO/IEC 7812)."""
    for chain in _CHAIN.finditer(text):
        groups = [group.span() for group in _DIGITS.finditer(text, *chain.span())]
        starts, ends, total = list[int](), dict[int, int](), 0
        digits = "".join(text[start:end] for start, end in groups)
        for start, end in groups:
            starts.append(total)
            total += end - start
            ends[total] = end
        after = 0
        for (start, _), first in zip(groups, starts, strict=True):
            if first >= after and (last := _card_end(digits, first, ends)):
                yield start, ends[last]
                after = last


def _card_end(digits: str, first: int, ends: Mapping[int, int]) -> int | None:
    """Where the longest card ends that begins at *first*; *ends* are the ends of groups."""
    if not _CARD_BEGINS.match(digits, first):
        return None
    for last in range(first + CARD_DIGITS.stop - 1, first + CARD_DIGITS.start - 1, -1):
        if last in ends and _passes_luhn(digits[first:last]) and _ISSUER.match(digits[first:last]):
            return last
    return None


_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_VALUES: Final = bytes.maketrans(b"0123456789", bytes(range(10)))


def _passes_luhn(digits: str) -> bool:
    backwards = digits.encode()[::-1]
    return (sum(backwards[::2].translate(_VALUES)) + sum(backwards[1::2].translate(_DOUBLED))) % 10 == 0


def ibans(text: str) -> Iterator[Span]:
    """What has its country's length and the check digits of ISO 13616 (modulo 97), in groups or not."""
    for begin in _IBAN_BEGINS.finditer(text):
        length = IBAN_LENGTHS.get(begin[0][:2].upper())
        end = _end_of(text, begin.start(), length) if length else None
        if end and not text[end : end + 1].isalnum() and _is_iban(text[begin.start() : end]):
            yield begin.start(), end


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where *length* letters and digits from *start* on end, single spaces and hyphens not counted."""
    rest = _IBAN_REST.match(text, start, start + 2 * length)
    places = [index for index in range(start, rest.end() if rest else start) if text[index] not in " -"]
    return places[length - 1] + 1 if len(places) >= length else None


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "").replace("-", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def ip_addresses(text: str) -> Iterator[Span]:
    """Addresses of IPv4, and of IPv6 with at least one digit: `std::max` is none."""
    for candidate in _IPV4.finditer(text):
        if _is_address(candidate[0]):
            yield candidate.span()
    for candidate in _IPV6.finditer(text):
        if any(map(str.isdigit, candidate[0])) and _is_address(candidate[0]):
            yield candidate.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
