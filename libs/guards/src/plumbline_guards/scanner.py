"""Text in pieces in, the same text out in parts that are settled: nothing that follows can change what they are.

The text falls into units, and no finding spans two. Where a unit ends depends on its characters and the few after it,
never on where the pieces were cut, so that a text is read the same whole and in pieces.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from plumbline_guards import patterns
from plumbline_guards.canary import canary as canary_of
from plumbline_guards.findings import Finding, Kind
from plumbline_guards.folding import DASHES, INVISIBLE, JOINERS, SPACES, WIDE
from plumbline_guards.secrets import (
    KEY_FOOTER,
    KEY_FOOTER_CHARACTERS,
    KEY_HEADER,
    KEY_HEADER_CHARACTERS,
    KEYWORD,
)

MAX_RUN: Final = 2_048
"""Characters without a break that are looked at: from there on a run is a finding, whatever it is, to its end."""
MAX_CHAIN: Final = 1_024
"""Characters of numbers in a row that are looked at together, the last CHAIN_OVERLAP again with what follows."""
CHAIN_OVERLAP: Final = 96

_HIDDEN: Final = f"{INVISIBLE}{JOINERS}"
_TAKEN: Final = rf"!#-&(-+\--:=?-Z\\^_a-z~\u00c0-\u024f\d{DASHES}{WIDE}{_HIDDEN}"
_RUN: Final = re.compile(f"[{_TAKEN}]+")
"""What findings are made of. Spaces, quotes, commas, brackets, pipes and other scripts end a run."""
_BREAK: Final = re.compile(f"[^{_TAKEN}]+")
_LINK_REST: Final = re.compile(
    r"(?:[^\s\"<>`{}|\[\]\u3000-\u303f\uff08\uff09\uff0c\uff1b\uff61]|[\u3002\uff61](?=[A-Za-z0-9]|\Z))*"
)
"""A run with an address in it goes on to where no renderer would: its host may hold letters of any script.

An ideographic full stop before a Latin letter is a host's dot to a browser."""
_GAP: Final = re.compile(f"(?:[{SPACES}\"'`][{_HIDDEN}]{{0,4}}){{1,4}}")
_KEY_START: Final = "-----BEGIN"

_UNSEEN: Final = re.compile(f"[{_HIDDEN}]+")
_NUMBER_ENDS: Final = re.compile(r"[\d)]\Z")
_NUMBER_STARTS: Final = re.compile(r"[\d(+]")
_KEYWORD_ENDS: Final = ("password", "passwd", "pwd", "passphrase", "secret", "token", "credential", "key", "bearer")
_IBAN_BEGUN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}[A-Z0-9]{0,4}(?: [A-Z0-9]{2,4}){0,8}$")
_ASSIGNED: Final = re.compile(KEYWORD + r"""["'` ]{0,4}[=:]{1,2}$|(?i:\bbearer)$""")
_PROSE: Final = re.compile(
    r"(?:"
    r"(?:(?![A-Za-z]*(?:word|wd|phrase|ecret|oken|ential|key|earer)\b)[A-Za-z]?[a-z]{1,14}[.,;:!?]?|[#*-]{1,3})[ \n]+"
    r"|\d{1,4}(?:[.,]\d{1,2})?[.,;!?]?[ \n]+(?=[A-Za-z])"  # too few digits for anything, and no number follows
    r")+",
    re.IGNORECASE,
)
"""Words and figures that can be no part of a finding: most of all text, read in one go."""
_NUMBERS: Final = re.compile(r"(?:\d{1,19} {1,2})+(?=\d)")
"""The groups of a chain but its last; read one by one, they would come to the same."""
_TAIL: Final = 64
"""Of a unit, how much is looked at to tell whether it goes on."""
_WORTH_A_LOOK: Final = re.compile(rf"[\d@:=/\\&{WIDE}{_HIDDEN}]|[Ww]{{3}}|.{{16}}", re.DOTALL)

Find = Callable[[str], list[Finding]]
IsUnsafe = Callable[[str], bool]
"""Whether nobody should follow a link."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the text, in its order; *kind* says what was found there."""

    text: str
    kind: Kind | None = None
    goes_on: bool = False
    """It belongs to the finding of the part before: one that had no end in sight."""


class Scanner:
    """Reads one text. It keeps what may yet become a finding, at most some 2,500 characters and the canary's."""

    def __init__(self, canary: str = "", is_unsafe: IsUnsafe | None = None) -> None:
        """*canary* is found wherever it stands. Without *is_unsafe* no links are looked for."""
        self._canary = canary_of(canary) if canary else None
        self._find: Find = partial(patterns.findings, is_unsafe=is_unsafe)
        self._held = ""
        self._endless: Kind | None = None

    @property
    def held(self) -> str:
        """What was taken and not yet given out."""
        return self._held

    def take(self, piece: str) -> list[Part]:
        """What is settled by the next *piece*."""
        return self._advance(piece, final=False)

    def finish(self) -> list[Part]:
        """The rest: the text ends here."""
        return self._advance("", final=True)

    def _advance(self, piece: str, *, final: bool) -> list[Part]:
        parts: list[Part] = []
        text, at = self._held + piece, 0
        for found in self._canary.find(text) if self._canary else ():
            self._read(text[at : found.start()], parts, final=True)
            parts.append(Part(found[0], Kind.CANARY))
            self._endless, at = None, found.end()
        last = text[at:]
        kept = self._canary.begun(last) if self._canary and not final else 0
        read = self._read(last[: len(last) - kept], parts, final=final)
        self._held = last[read:]
        return parts

    def _read(self, text: str, parts: list[Part], *, final: bool) -> int:
        """How far *text* is settled."""
        at = 0
        while at < len(text):
            step = self._endless_part if self._endless else self._next_part
            end = step(text, at, parts, final)
            if end is None:
                break
            at = end
        return at

    def _endless_part(self, text: str, at: int, parts: list[Part], final: bool) -> int | None:
        """See `_next_part`, within a finding that has no end in sight."""
        kind, (end, over) = self._endless, self._endless_end(text, at, final)
        if end > at:
            parts.append(Part(text[at:end], kind, goes_on=True))
        if over:
            self._endless = None
        return end if over or end > at else None

    def _endless_end(self, text: str, at: int, final: bool) -> tuple[int, bool]:
        """How far the endless finding certainly goes, and whether it ends there."""
        if self._endless is Kind.LONG_RUN:
            run = _RUN.match(text, at)
            end = run.end() if run else at
            return end, end < len(text)
        if footer := KEY_FOOTER.search(text, at):
            return footer.end(), True
        return len(text) if final else max(at, len(text) - KEY_FOOTER_CHARACTERS), False

    def _next_part(self, text: str, at: int, parts: list[Part], final: bool) -> int | None:
        """The end of what is settled from *at* on, after adding it to *parts*; None where more text must come first."""
        between = _BREAK.match(text, at)
        begin = between.end() if between else at
        words = _PROSE.match(text, begin)
        settled = words.end() if words else begin
        if settled > at:
            parts.append(Part(text[at:settled]))
        if words or settled == len(text):
            return settled
        end = self._next_unit(text, begin, parts, final)
        return end if end is not None else settled if settled > at else None

    def _next_unit(self, text: str, at: int, parts: list[Part], final: bool) -> int | None:
        """See `_next_part`, where *text* goes on with what may be a finding."""
        groups = _NUMBERS.match(text, at, at + MAX_CHAIN)
        begin = groups.end() if groups else at
        end = _run_end(text, begin)
        while True:
            if end - begin > MAX_RUN:
                return self._begin_endless(Kind.LONG_RUN, text, (at, begin, begin + MAX_RUN + 1), parts)
            if not final and (end == len(text) or _may_become_key(text, begin, end)):
                return None
            if header := _key_header(text, begin, end):
                return self._begin_endless(Kind.PRIVATE_KEY, text, (at, header.start(), header.end()), parts)
            following = _goes_on(text, at, end, final)
            if following is None:
                return None
            if following == end:
                parts += _settled(text[at:end], self._find)
                return end
            if end - at > MAX_CHAIN and (cut := _safe_cut(text[at:end], self._find, parts)):
                return at + cut
            begin, end = following, _run_end(text, following)

    def _begin_endless(self, kind: Kind, text: str, offsets: tuple[int, int, int], parts: list[Part]) -> int:
        """*offsets* are those of the unit, of the finding within it, and of what is known of that."""
        at, begin, end = offsets
        parts += _settled(text[at:begin], self._find)
        parts.append(Part(text[begin:end], kind))
        self._endless = kind
        return end


def scan(text: str, canary: str = "", is_unsafe: IsUnsafe | None = None) -> list[Finding]:
    """What stands in a whole *text*, in its order. See `Scanner`."""
    scanner, found, at = Scanner(canary, is_unsafe), list[Finding](), 0
    for part in [*scanner.take(text), *scanner.finish()]:
        end = at + len(part.text)
        if part.kind and part.goes_on:
            found[-1] = Finding(part.kind, found[-1].start, end)
        elif part.kind:
            found.append(Finding(part.kind, at, end))
        at = end
    return found


def _run_end(text: str, at: int) -> int:
    run = _RUN.match(text, at)
    if run is None or text.find("://", at, run.end()) < 0:
        return run.end() if run else at
    rest = _LINK_REST.match(text, run.end(), at + MAX_RUN + 1)
    return rest.end() if rest else run.end()


def _may_become_key(text: str, begin: int, end: int) -> bool:
    """Whether more must be read to tell if a private key begins at the end of this run."""
    return text.endswith(_KEY_START, begin, end) and len(text) - end < KEY_HEADER_CHARACTERS


def _key_header(text: str, begin: int, end: int) -> re.Match[str] | None:
    return KEY_HEADER.match(text, end - len(_KEY_START)) if text.endswith(_KEY_START, begin, end) else None


def _goes_on(text: str, at: int, end: int, final: bool) -> int | None:
    """Where the unit goes on, *end* if it does not, None where that cannot be told yet."""
    tail = _UNSEEN.sub("", text[max(at, end - _TAIL) : end])
    if tail[-1:].islower() and not tail.lower().endswith(_KEYWORD_ENDS):
        return end
    may = _continuation(tail)
    gap = _GAP.match(text, end) if may else None
    if not may or not gap:
        return end
    if gap.end() == len(text):
        return end if final else None
    return gap.end() if may(_UNSEEN.sub("", gap[0]), text[gap.end()]) else end


def _continuation(tail: str) -> Callable[[str, str], bool] | None:
    """What must stand behind *tail*, a gap and a character, for a finding to go on there."""
    lettered = tail.lower() != tail.upper()
    if lettered and _ASSIGNED.search(tail):
        return lambda _, character: bool(_RUN.match(character))
    if lettered and _IBAN_BEGUN.search(tail):
        return lambda gap, character: len(gap) == 1 and gap.isspace() and character.isalnum()
    if _NUMBER_ENDS.search(tail):
        return lambda gap, character: len(gap) <= 2 and gap.isspace() and _follows_a_number(character)
    if tail.lower().endswith(_KEYWORD_ENDS):
        return lambda _, character: character in "=:"
    return None


def _follows_a_number(character: str) -> bool:
    """Whether it begins more of a number, or a name, which tells a house's number from a telephone's."""
    return bool(_NUMBER_STARTS.match(character)) or (character.isupper() and _RUN.match(character) is not None)


def _safe_cut(unit: str, find: Find, parts: list[Part]) -> int:
    """Settle a long *unit* up to the last gap that is in no finding, nor so near its end that it may be in one to come.

    The offset of that gap; 0 if there is none.
    """
    found = find(unit)
    gaps = [gap.start() for gap in _BREAK.finditer(unit, 0, max(0, len(unit) - CHAIN_OVERLAP))]
    cut = next((gap for gap in reversed(gaps) if not any(one.start < gap < one.end for one in found)), 0)
    if cut:
        parts += _split(unit[:cut], [one for one in found if one.end <= cut])
    return cut


def _settled(unit: str, find: Find) -> Iterator[Part]:
    return _split(unit, find(unit) if _WORTH_A_LOOK.search(unit) else [])


def _split(text: str, found: list[Finding]) -> Iterator[Part]:
    """*text* in parts, each of one kind or none."""
    at = 0
    for finding in found:
        yield Part(text[at : finding.start])
        yield Part(text[finding.start : finding.end], finding.kind)
        at = finding.end
    yield Part(text[at:])
