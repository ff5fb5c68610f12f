"""What the cache keeps, and how it is named."""

import hashlib
import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from plumbline_cache.domain.normal import normal_form
from plumbline_kit.errors import Invalid
from plumbline_models.language import ENGLISH, languages

Vector: TypeAlias = npt.NDArray[np.float32]

MAX_QUESTION_CHARACTERS: Final = 8_000

KEYS: Final = 4_096
"""Scopes whose keys are kept: a lookup asks for one's key four times, and a hit takes less time than to make them."""

_NAMESPACE: Final = uuid.UUID("0b6f2f0e-6d4c-5a53-9c39-2f4a3f0d7c11")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who may reuse an answer: the same tenant with the same groups, asking the same release in the same language."""

    tenant: str
    groups: tuple[str, ...]
    application: str
    release: str
    language: str = ""
    """As `language_of` tells it of the question."""
    conversation: str = ""
    """The state of the conversation that the question was changed for; empty where it stands alone."""

    @property
    def key(self) -> str:
        """One name for them all; equal whatever the order of the groups."""
        return _key_of(self)


@dataclass(frozen=True, slots=True)
class Source:
    """One passage an answer rests on. *version* is the newest in which the passage is known to stand."""

    document: str
    version: int
    passage: str
    """The passage's hash."""


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money, in whole units of a currency by ISO 4217."""

    currency: str
    amount: float


@dataclass(frozen=True, slots=True)
class Saving:
    """What an answer took to be generated: what whoever is served it again saves."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    costs: tuple[Cost, ...] = ()
    """One a currency."""

    def __add__(self, other: "Saving") -> "Saving":
        """Both together, currencies apart."""
        amounts: defaultdict[str, float] = defaultdict(float)
        for cost in (*self.costs, *other.costs):
            amounts[cost.currency] += cost.amount
        return Saving(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            tuple(Cost(currency, amount) for currency, amount in sorted(amounts.items())),
        )


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A passage came after an answer was begun that might have changed it. Ordered by time."""

    time: datetime
    document: str
    version: int
    passage: str
    """Its hash; empty where the passages of the change could not be compared."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer that may be served again within its scope."""

    id: str
    scope: Scope
    question: str
    answer: bytes
    """The contract's Answer, serialised; nothing here looks inside."""
    answer_id: str
    sources: tuple[Source, ...]
    generate_time: datetime
    admit_time: datetime
    evaluation_id: str
    expire_time: datetime
    """From then on it is not served. Hits do not move it."""
    saving: Saving = Saving()
    least_similarity: float | None = None
    """The least cosine of a source with the question, in [-1, 1]; None where one is unknown."""
    mark: Mark | None = None
    """Why it is not served until there is a fresh answer: a passage that might have changed it. One will do."""
    hits: int = 0
    """How often it was served, as last written down."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents of the sources, each once."""
        return tuple(dict.fromkeys(source.document for source in self.sources))

    @property
    def begin_time(self) -> datetime:
        """When its generation began: what it was given was searched for before."""
        return self.generate_time - timedelta(seconds=self.saving.seconds)

    def is_newer_than(self, other: "Entry") -> bool:
        """Which of two answers stays, in whatever order they come."""
        return (self.generate_time, self.answer_id) > (other.generate_time, other.answer_id)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry and how near its question is: the cosine, in [-1, 1]."""

    entry: Entry
    similarity: float


@lru_cache(maxsize=KEYS)
def _key_of(scope: Scope) -> str:
    who = [scope.tenant, sorted(set(scope.groups)), scope.application, scope.release]
    parts = [*who, scope.language, scope.conversation]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def language_of(question: str) -> str:
    """The language of *question* by ISO 639-1, or its script; empty where its words leave it open.

    English where they leave that open: else one question in two wordings would often be in two scopes.
    """
    found = languages(question)
    if ENGLISH in found:
        return ENGLISH
    return next(iter(found)) if len(found) == 1 else ""


def entry_id(scope: Scope, question: str) -> str:
    """The one place in a scope of all questions with one normal form."""
    return str(uuid.uuid5(_NAMESPACE, f"{scope.key}/{normal_form(question)}"))


def require_question(question: str) -> None:
    """Raises `Invalid` unless the question can be looked up."""
    if not question.strip():
        raise Invalid.field("question", "is empty")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise Invalid.field("question", f"is longer than {MAX_QUESTION_CHARACTERS} characters")
    if "\0" in question:
        raise Invalid.field("question", "holds a NUL character")
