"""The rule that makes a question stand alone: names and words that it lacks are put before it.

Nothing here understands a text. English only: a question in another language comes after the turn before it.
Weights and bounds were chosen on half of mtrag's conversations; `make eval-conversation` reports on the other half.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from plumbline_generation.domain.conversation import (
    MAX_QUESTION_CHARACTERS,
    Condensation,
    Conversation,
    Method,
    Role,
    Turn,
)
from plumbline_models.text import STOP_WORDS, content_words

NOT_ENGLISH: Final = "the rule knows English only"
TERMS: Final = 4
"""Words that are put before a question; with more of them it gets lost among them."""
FEW_WORDS: Final = 3
"""A question with fewer words of its own asks about what was said before."""
NEAR_WORDS: Final = 3
"""A pronoun after so many words of content stands for one of them."""
DECAY: Final = 0.6
"""What a word counts a turn of the same speaker further back."""
ASSISTANT_WEIGHT: Final = 0.5
NAME_WEIGHT: Final = 2.0
ENGLISH_SHARE: Final = 0.2
"""The least share of English stop words in what the user said."""
MAX_TERM_CHARACTERS: Final = 40
MAX_JOINED_CHARACTERS: Final = 1_000

_WORD: Final = re.compile(r"[^\W_](?:[\w'\u2019.&/+-]*[\w+])?")
_PRONOUNS: Final = """
    it its itself they them their theirs he him his she hers her there one ones this that these those such same another
    others else former latter both
"""
PRONOUNS: Final = frozenset(_PRONOUNS.split())
_LEANS: Final = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what else|how come|any|yes|no|ok|okay|sure|thanks|thank you"
    r"|i see|i meant?|i'?m asking|you (?:said?y?|meant?)|tell me more|more)\b"
    r"|\b(?:too|as well|either|instead)\W*$",
    re.IGNORECASE,
)
"""How a question begins or ends that goes on with what was said."""
_EMPTY: Final = """
    ok okay yes no not never thanks thank hi hello see fine good great well know think want need tell give like way
    thing get use help sure really understand information info say mean make go some more other different difference
    able explain example recommend wonder interesting sorry question answer please take look find work come try idea
    lot kind type sort
"""
EMPTY_STEMS: Final = frozenset(content_words(_EMPTY))
"""Words that say little about what is talked about."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word that somebody said: its stems, how it was written, and whether it looks like a name."""

    stems: frozenset[str]
    surface: str
    is_name: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a term was said last, counted backwards in turns and forwards within one."""

    term: Term
    turn: int
    place: int


def by_rule(conversation: Conversation, reason: str = "") -> Condensation:
    """What the rule makes of a question; *reason* says why the rule was asked."""
    question = conversation.question
    if not conversation.turns:
        return Condensation(question, question, Method.UNCHANGED)
    if not _is_english(conversation):
        return joined(conversation, "; ".join(filter(None, (reason, NOT_ENGLISH))))
    terms = salient(conversation) if leans(question) else []
    if not terms:
        return Condensation(question, question, Method.UNCHANGED, reason)
    standalone = f"{' '.join(terms)}: {question.strip()}"
    return Condensation(question, standalone[:MAX_QUESTION_CHARACTERS], Method.RULE, reason)


def joined(conversation: Conversation, reason: str) -> Condensation:
    """The question after what the user said before it."""
    question = conversation.question
    said = next((turn.text for turn in reversed(conversation.turns) if turn.role is Role.USER), "")
    room = min(MAX_JOINED_CHARACTERS, MAX_QUESTION_CHARACTERS - len(question) - 1)
    before = " ".join(said.split())[: max(0, room)]
    if not before:
        return Condensation(question, question, Method.UNCHANGED, reason)
    return Condensation(question, f"{before} {question}", Method.JOINED, reason)


def leans(question: str) -> bool:
    """Whether *question* seems to ask about what was said before: by a pronoun, its beginning, or its brevity."""
    if _LEANS.search(question.strip()):
        return True
    own = [stem for stem in content_words(question) if stem not in EMPTY_STEMS]
    return len(own) < FEW_WORDS or not PRONOUNS.isdisjoint(_near_words(question))


def salient(conversation: Conversation) -> list[str]:
    """The words of earlier turns that weigh most, in the order in which they were said.

    Recent ones weigh more, the user's more than the last answer's, names more than others, repeated ones more.
    """
    weights: dict[frozenset[str], float] = {}
    last: dict[frozenset[str], Mention] = {}
    asked = frozenset(content_words(conversation.question)) | EMPTY_STEMS
    for turn, text, weight in _weighted(conversation.turns):
        heard: set[frozenset[str]] = set()
        for place, term in enumerate(_terms(text)):
            if term.stems <= asked or term.stems in heard:
                continue
            heard.add(term.stems)
            weights[term.stems] = weights.get(term.stems, 0.0) + weight * (NAME_WEIGHT if term.is_name else 1.0)
            last.setdefault(term.stems, Mention(term, turn, place))
    best = sorted(last, key=lambda stems: (-weights[stems], last[stems].turn, last[stems].place))[:TERMS]
    in_order = sorted((last[stems] for stems in best), key=lambda mention: (-mention.turn, mention.place))
    return [mention.term.surface for mention in in_order]


def _weighted(turns: Sequence[Turn]) -> Iterator[tuple[int, str, float]]:
    """The user's turns and the last answer, newest first: how far back, text, weight."""
    said = 0
    answered = False
    for number, turn in enumerate(reversed(turns)):
        if turn.role is Role.USER:
            yield number, turn.text, DECAY**said
            said += 1
        elif not answered:
            yield number, turn.text, ASSISTANT_WEIGHT
            answered = True


def _terms(text: str) -> Iterator[Term]:
    for word in _WORD.finditer(text):
        stems = frozenset(content_words(word[0]))
        if stems and len(word[0]) <= MAX_TERM_CHARACTERS:
            before = text[max(0, word.start() - 8) : word.start()].rstrip()[-1:]
            yield Term(stems, word[0], _looks_like_a_name(word[0], before))


def _looks_like_a_name(word: str, before: str) -> bool:
    """Capitalised within a sentence, in capitals, or of letters and digits."""
    within = before not in ("", ".", "?", "!", ":")
    mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return (word[0].isupper() and within) or (len(word) > 1 and word.isupper()) or mixed


def _near_words(question: str) -> Iterator[str]:
    """The words of a question up to its third one of content, without what follows an apostrophe."""
    content = 0
    for word in _WORD.findall(question):
        yield re.split("['\u2019]", word.casefold())[0]
        content += bool(content_words(word))
        if content >= NEAR_WORDS:
            return


def _is_english(conversation: Conversation) -> bool:
    said = [turn.text for turn in reversed(conversation.turns) if turn.role is Role.USER]
    words = [word.casefold() for text in (conversation.question, *islice(said, 3)) for word in _WORD.findall(text)]
    return sum(word in STOP_WORDS for word in words) >= ENGLISH_SHARE * len(words)
