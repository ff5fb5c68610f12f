"""The bundle of settings that answers questions: read from a file, named by its content."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from plumbline_kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What the model is told. *template* is a Jinja template over `passages` and `question`."""

    system: str
    template: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model answers and how."""

    name: str
    temperature: float
    seed: int
    max_tokens: int
    context_tokens: int
    """Budget for the passages, in tokens of the encoder."""
    first_token_seconds: float
    total_seconds: float
    stop: tuple[str, ...] = ()
    """Texts that end an answer, should the model write them."""


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How many passages an answer may rest on."""

    passages: int


class Unsupported(StrEnum):
    """What happens to a sentence that no passage supports."""

    MARK = "mark"
    """It leaves, and says that it has no source."""
    WITHHOLD = "withhold"
    REPLACE = "replace"
    """Withheld; an extract of the passages stands in its place where too little is left."""


class Unchecked(StrEnum):
    """What happens to a sentence that the check cannot judge, where unsupported ones are withheld."""

    SHOW = "show"
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """When an answer is refused, when a claim counts as supported (both in [0, 1]), and what becomes of the others."""

    minimum_question_support: float
    minimum_claim_support: float
    unsupported: Unsupported = Unsupported.MARK
    unchecked: Unchecked = Unchecked.SHOW


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """When a cached answer may be served. *freshness* is "strict" or "eventual"."""

    semantic_threshold: float
    freshness: str


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """How a question asked within a conversation is made to stand alone. *method* is "rule" or "model"."""

    method: str = "rule"
    turns: int = 6
    """How many earlier turns are looked at; 0 means that every question is taken as it was asked."""
    system: str = ""
    template: str = ""
    """A Jinja template over `turns` (each with `speaker` and `text`) and `question`, for the method "model"."""

    def __post_init__(self) -> None:
        if self.method not in ("rule", "model"):
            raise ValueError(f"conversation.method is {self.method!r}, wanted is rule or model")
        if self.method == "model" and not self.template.strip():
            raise ValueError("conversation.method is model, and conversation.template is empty")
        if self.turns < 0:
            raise ValueError(f"conversation.turns is {self.turns}, wanted is 0 or more")


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The least score that passes, for each measure; all in [0, 1]."""

    minimum_faithfulness: float
    minimum_citation_validity: float
    minimum_answer_relevance: float
    minimum_context_relevance: float


@dataclass(frozen=True)  # without slots, which know no cached properties
class Release:
    """Everything that decides an answer, but the documents and the question."""

    application_id: str
    prompt: PromptSettings
    model: ModelSettings
    retrieval: RetrievalSettings
    guard: GuardSettings
    cache: CacheSettings
    evaluation: EvaluationSettings
    conversation: ConversationSettings = field(default_factory=ConversationSettings)

    @cached_property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the content: equal content, equal id."""
        return content_id(json.dumps(asdict(self), sort_keys=True))

    @cached_property
    def prompt_version(self) -> str:
        """The same, of the prompt alone."""
        return content_id(json.dumps(asdict(self.prompt), sort_keys=True))

    def require(self, application_id: str, release_id: str) -> "Release":
        """This release, if it is the one asked for. Raises `NotFound`."""
        if (application_id, release_id) != (self.application_id, self.id):
            raise NotFound(
                f"release {release_id} of application {application_id} is not loaded here; this server holds "
                f"{self.id} of {self.application_id}"
            )
        return self


def _guard(content: dict[str, Any]) -> GuardSettings:
    unsupported, unchecked = content.get("unsupported", "mark"), content.get("unchecked", "show")
    chosen = {"unsupported": Unsupported(unsupported), "unchecked": Unchecked(unchecked)}
    return GuardSettings(**content | chosen)


def _model(content: dict[str, Any]) -> ModelSettings:
    return ModelSettings(**content | {"stop": tuple(content.get("stop", ()))})


def content_id(text: str) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of *text*."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_release(path: Path) -> Release:
    """Read a release file (TOML). Raises `ValueError` that names the file and what is wrong with it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Release(
            application_id=content["application_id"],
            prompt=PromptSettings(**content["prompt"]),
            model=_model(content["model"]),
            retrieval=RetrievalSettings(**content["retrieval"]),
            guard=_guard(content["guard"]),
            cache=CacheSettings(**content["cache"]),
            evaluation=EvaluationSettings(**content["evaluation"]),
            conversation=ConversationSettings(**content.get("conversation", {})),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"release file {path}: {error}") from error
