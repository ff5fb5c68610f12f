"""Topics that a policy denies, by their words and phrases."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_guards.findings import Kind
from plumbline_guards.folding import INVISIBLE, JOINERS
from plumbline_guards.plain import DOTLESS, plain
from plumbline_guards.scanner import Part

MAX_GAP: Final = 16
"""Characters between two words of a phrase."""
MAX_WORD: Final = 64
"""Characters of the longest word that a phrase can hold."""

_WORD: Final = re.compile(rf"[\w{INVISIBLE}{JOINERS}]+")
_JOINERS: Final = re.compile(f"[{JOINERS}]")


class Topics:
    """Phrases to look for. Case, punctuation and look-alike letters do not matter; every inflection is another word."""

    def __init__(self, phrases: Sequence[str] = ()) -> None:
        """Raises `ValueError` for a phrase without a word, or with one that is too long."""
        self._by_first: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
        for phrase in phrases:
            words = tuple(_read(word) for word in _WORD.findall(phrase))
            if not words or max(map(len, words)) > MAX_WORD:
                raise ValueError(f"{phrase!r} has no word, or one of more than {MAX_WORD} characters")
            self._by_first[words[0]].append(words)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._by_first)

    def find(self, text: str) -> list[str]:
        """The phrases in a whole *text*, as they stand there."""
        return [part.text for part in TopicWatch(self).take(text, final=True) if part.kind]

    def beginning_with(self, word: str) -> Sequence[tuple[str, ...]]:
        """The phrases whose first word it is."""
        return self._by_first.get(word, ())


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    read: str


class TopicWatch:
    """Looks at one text that comes in pieces. It keeps the last word, and more only of what may become a phrase."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._within_word = False
        self.held = ""
        """What was taken and not yet given out."""

    def take(self, piece: str, *, final: bool = False) -> list[Part]:
        """What is settled by the next *piece*; everything if the text ends with it."""
        self.held += piece
        parts, at, begin = [Part(self._rest_of_word())], 0, 0
        text = self.held
        words = [_Word(*word.span(), _read(word[0])) for word in _WORD.finditer(text)]
        while True:
            free, found = self._search(text, words, begin, final=final)
            if not found:
                return [*parts, self._settled(words, at, free, final=final)]
            start, end = words[found.start].start, words[found.stop - 1].end
            parts += (Part(text[at:start]), Part(text[start:end], Kind.DENIED_TOPIC))
            at, begin = end, found.stop

    def _rest_of_word(self) -> str:
        """What is held of a word whose beginning was given out."""
        rest = _WORD.match(self.held) if self._within_word else None
        end = rest.end() if rest else 0
        taken, self.held = self.held[:end], self.held[end:]
        self._within_word = self._within_word and not self.held
        return taken

    def _settled(self, words: Sequence[_Word], at: int, free: int, *, final: bool) -> Part:
        """From *at* to *free*, but no word that may go on, unless it is too long for a phrase."""
        text = self.held
        open_end = not final and bool(words) and words[-1].end == len(text)
        if open_end and len(text) - words[-1].start <= MAX_WORD:
            free = min(free, words[-1].start)
        self._within_word = self._within_word or (open_end and free == len(text))
        self.held = text[free:]
        return Part(text[at:free])

    def _search(self, text: str, words: Sequence[_Word], begin: int, *, final: bool) -> tuple[int, range | None]:
        """How far *text* holds no phrase from the word *begin* on, whatever follows, and which words there are one."""
        whole = len(words) - (not final and bool(words) and words[-1].end == len(text))
        for index in range(begin, whole):
            for phrase in self._topics.beginning_with(words[index].read):
                matched = self._matched(phrase, words, index, whole)
                if matched == len(phrase):
                    return words[index].start, range(index, index + matched)
                open_end = index + matched >= whole and len(text) - words[index + matched - 1].end <= MAX_GAP + MAX_WORD
                if matched and open_end and not final:
                    return words[index].start, None
        return len(text), None

    def _matched(self, phrase: Sequence[str], words: Sequence[_Word], index: int, whole: int) -> int:
        """How many words of *phrase* stand from *index* on."""
        for count, expected in enumerate(phrase):
            at = index + count
            if at >= whole or words[at].read != expected:
                return count
            if count and words[at].start - words[at - 1].end > MAX_GAP:
                return count
        return len(phrase)


def _read(word: str) -> str:
    return word.casefold() if word.isascii() else _JOINERS.sub("", plain(word).text).casefold().replace(DOTLESS, "i")
