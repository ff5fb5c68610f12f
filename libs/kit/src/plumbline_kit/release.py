"""The bundle of settings that answers questions: read from a file, named by its content."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from plumbline_kit.errors import NotFound
from plumbline_kit.settings import SettingsError

LONGEST_ID: Final = 100
"""Characters of an id that a reason repeats: it goes into logs."""
Constant = str | int | float | bool
MOST_SAMPLES: Final = 8
MOST_HOURS: Final = 87_600
"""Ten years."""
KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {"text": str, "number": (int, float), "flag": bool}
"""What a constant of a prompt may be, by the name that its file gives it."""


class ReleaseError(SettingsError, ValueError):
    """A release cannot be used; the text names its file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """What the model is told, as Jinja templates over *variables*; *template* has `passages` and `question` too."""

    system: str
    template: str
    variables: Mapping[str, Constant] = field(default_factory=dict)
    """Constants of the release, by the names that the templates use."""
    file: str = ""
    """Name of the file they come from, empty where the release holds them itself. Not part of any hash."""

    @property
    def version(self) -> str:
        """Content hash: the same text under another file's name has the same."""
        return content_id(json.dumps(self.content(), sort_keys=True))

    def content(self) -> dict[str, Any]:
        """All that decides what the model is told."""
        return {"system": self.system, "template": self.template, "variables": dict(self.variables)}


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
    passage_order: str = "best_first"
    """Of the passages in the prompt: "best_first", or "best_at_ends" for models that overlook what is in the middle."""
    over_budget: str = "extract"
    """When the tenant's tokens of the day are used up: "extract" answers with the passages, "fail" not at all."""
    samples: int = 1
    """Of how many texts, seeds counted up from *seed*, an answer is the one nearest to the others; 1 to 8."""

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ValueError(f"model.samples is {self.samples!r}, wanted is 1 to {MOST_SAMPLES}")
        if self.over_budget not in ("extract", "fail"):
            raise ValueError(f"model.over_budget is {self.over_budget!r}, wanted is extract or fail")


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
    minimum_answerability: float = 0.0
    """The least probability that the passages found answer, in [0, 1]. With 0 it is not looked at."""

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_answerability <= 1:
            raise ValueError(f"guard.minimum_answerability is {self.minimum_answerability}, wanted is 0 to 1")


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """When a cached answer may be served. *freshness* is "strict" or "eventual"."""

    semantic_threshold: float
    """The least cosine, in [-1, 1], at which an entry's question is looked at."""
    freshness: str
    time_to_live_hours: float = 168.0
    """From an answer's generation on; more than 0, at most MOST_HOURS."""
    audit_share: float = 0.05
    """Of semantic hits that are answered afresh too, in [0, 1]; of exact ones a tenth of it."""
    target_false_hit_rate: float = 0.03
    """Where more semantic hits than this may be wrong, in (0, 1], they are withheld."""
    semantic_certainty: float = 0.9
    """How sure it must be that a near question asks the same, in (0, 1]; at 1 all words of weight must be equal."""

    def __post_init__(self) -> None:
        if not 0 <= self.audit_share <= 1:
            raise ValueError(f"cache.audit_share is {self.audit_share}, wanted is 0 to 1")
        if not 0 < self.target_false_hit_rate <= 1:
            raise ValueError(
                f"cache.target_false_hit_rate is {self.target_false_hit_rate}, wanted is more than 0, at most 1"
            )
        if not 0 < self.semantic_certainty <= 1:
            raise ValueError(f"cache.semantic_certainty is {self.semantic_certainty}, wanted is more than 0, at most 1")
        if not 0 < self.time_to_live_hours <= MOST_HOURS:
            raise ValueError(f"cache.time_to_live_hours is {self.time_to_live_hours!r}, wanted is 0 to {MOST_HOURS:,}")


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
        return content_id(json.dumps(asdict(self) | {"prompt": self.prompt.content()}, sort_keys=True))

    @cached_property
    def prompt_version(self) -> str:
        """The same, of the prompt alone."""
        return self.prompt.version

    def require(self, application_id: str, release_id: str) -> "Release":
        """This release, if it is the one asked for. Raises `NotFound`."""
        if (application_id, release_id) != (self.application_id, self.id):
            asked = f"release {release_id[:LONGEST_ID]!r} of application {application_id[:LONGEST_ID]!r}"
            raise NotFound(f"{asked} is not loaded here; this server holds {self.id!r} of {self.application_id!r}")
        return self


def read_prompt(path: Path, source: str, values: Mapping[str, Constant]) -> PromptSettings:
    """What *source*, the text of the prompt's file (TOML) at *path*, says with *values* for its variables.

    Examples and tests in it are left out. Raises `ValueError` that names the file and what is wrong with it or with
    the values.
    """
    try:
        content = tomllib.loads(source)
        system, template = (_text(content, name) for name in ("system", "template"))
        return PromptSettings(system, template, _constants(content.get("variables", {}), values), path.name)
    except ValueError as error:
        raise ValueError(f"prompt file {path}: {error}") from error


def _text(content: Mapping[str, Any], name: str) -> str:
    if not isinstance(content.get(name), str):
        raise ValueError(f"{name} must be a text")
    return str(content[name])


def _constants(declared: Mapping[str, Any], values: Mapping[str, Constant]) -> dict[str, Constant]:
    """Every variable that the file declares, with its value or its default."""
    if strange := values.keys() - declared.keys():
        raise ValueError(f"it has no variable {', '.join(sorted(strange))}")
    return {name: _constant(name, variable, values) for name, variable in declared.items()}


def _constant(name: str, variable: Any, values: Mapping[str, Constant]) -> Constant:
    if not isinstance(variable, dict) or variable.get("type", "text") not in KINDS:
        raise ValueError(f"variables.{name} must be a table whose type is {', '.join(KINDS)}")
    kind = variable.get("type", "text")
    value: Constant | None = values.get(name, variable.get("default"))
    if value is None:
        raise ValueError(f"the variable {name} has neither a value nor a default")
    if not isinstance(value, KINDS[kind]) or isinstance(value, bool) != (kind == "flag"):
        raise ValueError(f"the variable {name} is {value!r}, not a {kind}")
    return value


def _prompt(content: Mapping[str, Any], folder: Path) -> PromptSettings:
    if "file" not in content:
        return PromptSettings(**content)
    if others := content.keys() - {"file", "variables"}:
        raise ValueError(f"[prompt] names a file, so {', '.join(sorted(others))} must stand there")
    path = folder / content["file"]
    return read_prompt(path, path.read_text(encoding="utf-8"), content.get("variables", {}))


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
    """Read a release file (TOML). Raises `ReleaseError`."""
    if not path.exists():
        raise ReleaseError(f"there is no release file {path}: RELEASE_FILE names one, from the folder of the process")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Release(
            application_id=content["application_id"],
            prompt=_prompt(content["prompt"], path.parent),
            model=_model(content["model"]),
            retrieval=RetrievalSettings(**content["retrieval"]),
            guard=_guard(content["guard"]),
            cache=CacheSettings(**content["cache"]),
            evaluation=EvaluationSettings(**content["evaluation"]),
            conversation=ConversationSettings(**content.get("conversation", {})),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"release file {path}: {error}") from error
