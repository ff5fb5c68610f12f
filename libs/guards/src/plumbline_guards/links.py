"""Links: what a reader may follow, and to which host."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from plumbline_guards.plain import LOOK_ALIKES

LINK: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])(?:"
    r"(?!mailto:|tel:)[A-Za-z][A-Za-z0-9+.-]{1,20}:[/\\]{2,}\S*"
    r"|(?i:https?):\S+"  # with no, one or turned slashes: browsers are lenient
    r"|(?i:javascript|vbscript):\S+|(?i:data):[A-Za-z]+/[A-Za-z0-9.+-]+\S*"
    r"|(?i:www)\.[\w-]+\.\S+"
    r")|(?<![\w:/\\.])[/\\]{2}(?=[\w-]+\.\w)\S+"  # of the page's own scheme
    r"|&(?:sol|bsol|colon|#0*(?:47|58|92)|#[xX]0*(?:2[fF]|3[aA]|5[cC]))(?![A-Za-z0-9])"  # / \ : as renderers read them
)
"""In one run of a text, to its end: what closes a bracket or ends a sentence is left out by `links`."""
WEB: Final = ("http", "https")

_HOST: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?!\d+(?:[/?#]|$)))?[/\\]*(?P<user>[^/\\?#@]*@)?(?P<host>\[[^]]*\]|[^/\\?#:]*)"
)
_BARE_HOST: Final = re.compile(r"(?:\w[\w-]{0,62}\.){1,8}[a-z]{2,24}", re.IGNORECASE)
_NAME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_NESTED: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}:[/\\]{2}")
_NUMBER: Final = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}\.?", re.IGNORECASE)
_TRAILING: Final = ".,;:!?*_~\u3002\uff61"


def links(text: str) -> Iterable[tuple[int, int]]:
    """Offsets of the links in *text*."""
    for found in LINK.finditer(text):
        yield found.start(), _end(text, found.start(), found.end())


def _end(text: str, start: int, end: int) -> int:
    """Without the punctuation behind it, and without brackets that were opened before it."""
    unopened = text.count(")", start, end) - text.count("(", start, end)
    while end > start + 1:
        closes = text[end - 1] == ")" and unopened > 0
        if not closes and text[end - 1] not in _TRAILING:
            break
        unopened -= closes
        end -= 1
    return end


def host_of(link: str) -> str:
    """In small letters, without port, last dot and "www."; empty where there is none."""
    parts = _HOST.match(link)
    return unquote(parts["host"]).casefold().rstrip(".").removeprefix("www.") if parts else ""


def hosts_in(texts: Iterable[str]) -> frozenset[str]:
    """The hosts that *texts* link to or name."""
    found = {host_of(name) for text in texts for name in _BARE_HOST.findall(text)}
    return frozenset(found) | {host_of(text[start:end]) for text in texts for start, end in links(text)}


def leads_elsewhere(link: str, hosts: frozenset[str]) -> bool:
    """Whether its host, or that of a link within it, is none of *hosts*."""
    starts = (0, *(nested.start() for nested in _NESTED.finditer(link, 1)))
    return any(host_of(link[start:]) not in hosts for start in starts)


def is_harmful(link: str) -> bool:
    """Whether nobody should follow it, whatever it stands in.

    Its scheme is not the web's, it carries credentials, or its host is an address or only looks like another one.
    """
    parts = _HOST.match(link)
    if parts is None or (parts["scheme"] or WEB[0]).casefold() not in WEB or parts["user"]:
        return True
    host = host_of(link)
    return "\\" in link or not _NAME.fullmatch(host) or _is_number(host) or any(map(_imitates, host.split(".")))


def _is_number(host: str) -> bool:
    """Browsers read 2130706433 and 0x7f.1 as addresses; those of IPv6 are no name anyhow."""
    return _NUMBER.fullmatch(host) is not None


def _imitates(label: str) -> bool:
    """Whether letters of other scripts in it all stand in for Latin ones, or it cannot be read."""
    if label.startswith("xn--"):
        try:
            label = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            return True
    return not label.isascii() and label.translate(LOOK_ALIKES).isascii()
