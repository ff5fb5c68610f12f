"""What a question says, taken apart: the form of the question, its words of weight, and what turns its answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plumbline_cache.domain.sameness import lexicon
from plumbline_cache.domain.sameness.frames import shortest
from plumbline_cache.domain.sameness.stems import stems_of
from plumbline_models.text import is_number

_NEGATED: Final = re.compile(r"\b(?:(ca)n't|(can)not|(wo)n't|(\w+?)n't)\b")
_SHORTENED: Final = re.compile(r"\b(what|who|where|when|how|why|that|it|there|here)'s\b")
_TOKEN: Final = re.compile(r"\d\w*(?:[.,:]\d+)*|(?<!\w)-(?=\d)|_?[^\W\d_]+(?:\+\+|#)?|[%€$£°=<>*/^+]")
_CAPITAL: Final = re.compile(r"(?<![.?!:\"“(] )(?<!^)\b[A-Z]\w*")

_MEASURED: Final = lexicon.words("much many long old far often tall big fast high deep heavy large wide late soon")
_ASKING: Final = lexicon.words("how why when where who whose whom what which")
_WHETHER: Final = lexicon.words(
    "is are was were am do does did can could will would should shall must may might has have had"
)

_JOINING: Final = (lexicon.DIRECTIONS | lexicon.WAYS | lexicon.words("of for in on at with about")) - lexicon.BETWEEN


@dataclass(frozen=True, slots=True)
class Reading:
    """A question, taken apart. Words are stems in lower case."""

    forms: tuple[str, ...]
    """What each of its sentences asks for: "how", "why", "how much", "whether", "what"; "" for a statement."""
    words: tuple[str, ...]
    """Those of weight, in order."""
    sequence: tuple[str, ...]
    """The same with the words that join them."""
    numbers: tuple[str, ...]
    """Sorted."""
    names: frozenset[str]
    """Those of weight that are written like names."""
    marks: frozenset[str]
    """What is no letter and tells something, such as "%" or the end of "C++"."""
    negations: int
    turns: tuple[str, ...]
    """Words that give the others a role, sorted."""
    ways: frozenset[str]
    time: str
    """"past" or ""."""
    modal: str
    pointing: bool
    """Whether it speaks of something that is not in it: "this", "these"."""
    plain: frozenset[str]
    """Every word as it is written, in lower case."""
    whose: frozenset[str]
    """Whose things it speaks of: "my" or "your", as far as it says so."""
    spellings: Mapping[str, str]
    """How the words of weight are written, but for those that others stand for."""


@lru_cache(maxsize=8_192)  # whatever is asked is compared with eight neighbours, and popular entries are near to many
def read(question: str) -> Reading:
    """Take *question* apart."""
    written = " ".join(question.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
    capitals = _capitals(written)
    names = {stem for word in capitals for stem in _stems(_named(word))}
    marked = _CAPITAL.sub(lambda match: _named(match[0]) if match[0] in capitals else match[0], written)
    spelled = _SHORTENED.sub(r"\1 is", _NEGATED.sub(_spell_out, marked.casefold()))
    plain = shortest(" ".join(spelled.split()))
    tokens = _TOKEN.findall(plain)
    weighty = [stem for token in tokens for stem in _stems(token)]
    if len(set(weighty)) > 2:  # "what is the best phone" is not "what is a phone"
        weighty = [word for word in weighty if word != "best"]
    numbers = [word for word in weighty if is_number(word)]
    return Reading(
        forms=tuple(dict.fromkeys(_forms(plain))),
        words=tuple(weighty),
        sequence=tuple(word for word in _sequence(tokens) if word in _JOINING or word in weighty),
        numbers=tuple(sorted(numbers)),
        names=frozenset(names) & frozenset(weighty),
        marks=frozenset(token for token in tokens if not token[-1].isalnum()),
        negations=sum(token in lexicon.NEGATIONS for token in tokens),
        turns=tuple(sorted(token for token in tokens if token in lexicon.DIRECTIONS)),
        ways=frozenset(token for token in tokens if token in lexicon.WAYS),
        time="" if lexicon.PAST.isdisjoint(tokens) else "past",
        modal=next((lexicon.MODALS[token] for token in tokens[:3] if token in lexicon.MODALS), ""),
        pointing=not lexicon.POINTING.isdisjoint(tokens),
        plain=frozenset(tokens),
        whose=frozenset(lexicon.WHOSE[token] for token in tokens if token in lexicon.WHOSE),
        spellings={stem: token for token in tokens if token not in lexicon.SAME_WORDS for stem in _stems(token)},
    )


def _spell_out(negated: re.Match[str]) -> str:
    cant, cannot, wont, other = negated.groups()
    return f"{'can' if cant or cannot else 'will' if wont else other} not"


def _named(word: str) -> str:
    """A light word that is written like a name is one: "IT", "US", the difference between "Shall" and "Will"."""
    folded = word.casefold()
    return f"_{folded}" if word != "I" and folded in lexicon.LIGHT else folded


def _capitals(written: str) -> set[str]:
    capitals = _CAPITAL.findall(written)
    letters = re.findall(r"\b[a-zA-Z]\w*", written)
    if len(capitals) > 0.6 * len(letters):  # a headline
        return {word for word in capitals if word.isupper() and len(word) > 1} if written != written.upper() else set()
    return {word for word in capitals if word != "I"}


def _stems(token: str) -> Iterator[str]:
    if token in lexicon.LIGHT or token in lexicon.NEGATIONS or token in lexicon.DIRECTIONS or token in lexicon.WAYS:
        return
    if token[0] == "_":
        yield token
        return
    token = lexicon.SAME_WORDS.get(token) or lexicon.SAME_NAMES.get(token) or token
    yield from stems_of(token)


def _sequence(tokens: Sequence[str]) -> Iterator[str]:
    for token in tokens:
        if token in _JOINING:
            yield token
        else:
            yield from _stems(token)


def _purpose(tokens: Sequence[str]) -> str:
    """What a thing does, and what it is for, is not what it is."""
    if tokens[-1] in ("do", "for"):
        return tokens[-1]
    return "do" if "do with" in " ".join(tokens) else ""


def _forms(plain: str) -> Iterator[str]:
    """Of each sentence, but for those that neither ask nor tell anything: "Thanks", "Please"."""
    for sentence in re.split(r"[?.!]+(?:\s|$)", plain):
        tokens = [token for token in _TOKEN.findall(sentence) if token not in lexicon.COURTESY]
        form = _form(tokens)
        if form or any(True for token in tokens for _ in _stems(token)):
            yield form


def _form(tokens: Sequence[str]) -> str:
    for at, token in enumerate(tokens):
        if token in _ASKING:
            following = tokens[at + 1] if at + 1 < len(tokens) else ""
            if token == "how":
                return f"how {following}" if following in _MEASURED else "how"
            form = lexicon.SAME_FORMS.get(token, token)
            return f"what {_purpose(tokens)}".strip() if form == "what" else form
        if at == 0 and token in _WHETHER:
            return "whether"
    return ""
