"""Values out of a text and back: each is named by a placeholder that a model can carry, such as [card-1]."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from plumbline_guards.findings import Finding, Kind

_PLACEHOLDER: Final = re.compile(r"\[[a-z-]+-\d+\]")
_LINKS: Final = re.compile(r"[/\\]{2}|\]\(|(?:www\.|https?:|mailto:)|\w\.[a-z]{2,24}[/?#]", re.IGNORECASE)
"""What a link begins with, or its host ends with."""
_LONGEST_MARK: Final = 32
_PARTS: Final = re.compile(r"[ \t\r\n]+|[<>]|[^ \t\r\n<>]+")

Edit = tuple[int, int, int]
"""Code points start to end of a text, and how many stand in their place."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A text with placeholders for some of its values."""

    text: str
    edits: tuple[Edit, ...] = ()
    """Of the text as it was, in its order."""

    def moved(self, position: int) -> int:
        """Where that offset of the text as it was is now; within a value, where its placeholder begins."""
        return moved(position, self.edits)


def moved(position: int, edits: Sequence[Edit]) -> int:
    """Where *position* is after *edits*, which are in the text's order."""
    shift = 0
    for start, end, length in edits:
        if position <= start:
            break
        if position < end:
            return start + shift
        shift += length - (end - start)
    return position + shift


@dataclass
class Placeholders:
    """Names for values: another for each, the same for the same. Spaces, hyphens and case make no other value."""

    reserved: frozenset[str] = frozenset()
    """Placeholders that stand in the texts already; none of them names a value."""
    values: dict[str, str] = field(default_factory=dict)
    """By placeholder, as each was written first."""
    _names: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def knows(self, kind: Kind, value: str) -> bool:
        """Whether it has a name."""
        return (kind, _key(value)) in self._names

    def name(self, kind: Kind, value: str) -> str:
        """Its placeholder."""
        key = (kind, _key(value))
        if key not in self._names:
            self._names[key] = self._free(kind.value.replace(" ", "-"))
            self.values[self._names[key]] = value
        return self._names[key]

    def hide(self, text: str, findings: Sequence[Finding], hides: Callable[[Kind, str], bool]) -> Hidden:
        """*text* with a placeholder for each of its *findings* that *hides* wants away."""
        pieces, edits, at = list[str](), list[Edit](), 0
        for finding in findings:
            value = text[finding.start : finding.end]
            if not hides(finding.kind, value):
                continue
            shown = "" if finding.kind is Kind.INVISIBLE else self.name(finding.kind, value)
            pieces += (text[at : finding.start], shown)
            edits.append((finding.start, finding.end, len(shown)))
            at = finding.end
        return Hidden("".join((*pieces, text[at:])), tuple(edits))

    def _free(self, word: str) -> str:
        used = self.reserved | self.values.keys()
        return next(name for number in count(1) if (name := f"[{word}-{number}]") not in used)


def reserved(texts: Collection[str]) -> frozenset[str]:
    """What looks like a placeholder in *texts*."""
    return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def without_placeholders(text: str) -> str:
    """*text* without anything that looks like a placeholder: its word and number are nobody's."""
    return _PLACEHOLDER.sub("", text)


def _key(value: str) -> str:
    return "".join(filter(str.isalnum, value)).casefold() or value


class Restorer:
    """Puts values back into a text that comes in pieces. Held back is what may yet become a placeholder.

    None is put back into what may be a link: whoever wrote a document that the model follows could have it call him.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        """*values* are by placeholder."""
        self._values = values
        self._any = re.compile("|".join(map(re.escape, values)) or r"(?!)")
        self._held = ""
        self._links = _LinkWatch()
        self._taken = 0
        self.edits: list[Edit] = []
        """Of the text taken."""

    def take(self, piece: str) -> str:
        """The text that is released by the next *piece*."""
        if not self._values:
            return piece
        text = self._held + piece
        begun = text.rfind("[")
        open_end = begun >= 0 and any(name != text[begun:] and name.startswith(text[begun:]) for name in self._values)
        ready, self._held = (text[:begun], text[begun:]) if open_end else (text, "")
        return self._restored(ready)

    def finish(self) -> str:
        """The rest: the text ends here."""
        ready, self._held = self._held, ""
        return self._restored(ready)

    def moved(self, position: int) -> int:
        """Where that offset of the text taken is in the text released."""
        return moved(position, self.edits)

    def _restored(self, ready: str) -> str:
        pieces, at = list[str](), 0
        for found in self._any.finditer(ready):
            pieces.append(self._passed(ready[at : found.start()]))
            pieces.append(self._value(found))
            at = found.end()
        pieces.append(self._passed(ready[at:]))
        self._taken += len(ready)
        return "".join(pieces)

    def _value(self, found: re.Match[str]) -> str:
        if self._links.within:
            return self._passed(found[0])
        value = self._values[found[0]]
        self.edits.append((self._taken + found.start(), self._taken + found.end(), len(value)))
        return value

    def _passed(self, text: str) -> str:
        self._links.take(text)
        return text


class _LinkWatch:
    """Tells whether a text that comes in pieces may be within a link: up to white space, between < and > beyond it."""

    def __init__(self) -> None:
        self.within = False
        self._in_angles = False
        self._end = ""

    def take(self, text: str) -> None:
        for part in _PARTS.findall(text):
            if part == "<":
                self._in_angles = True
            elif (part == ">" and self._in_angles) or (part.isspace() and not self._in_angles):
                self._in_angles, self.within, self._end = False, False, ""
            else:
                self._look_at(part)

    def _look_at(self, part: str) -> None:
        seen = self._end + part
        self.within = self.within or _LINKS.search(seen) is not None
        self._end = seen[-_LONGEST_MARK:]
