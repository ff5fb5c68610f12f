"""What retrieval can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from plumbline_kit.settings import Env, ServiceSettings, SettingsError
from plumbline_retrieval.domain.chunking import BUDGET_TOKENS
from plumbline_retrieval.domain.ranking import Preferences

LEAST_TOKENS: Final = 20
"""A smaller passage has no room for a sentence."""


class Roles(Enum):
    """What this process does."""

    BOTH = "api,indexer"
    API = "api"
    INDEXER = "indexer"


class RerankerKind(Enum):
    """Which second look there is."""

    NONE = "none"
    TOKEN_INTERACTION = "token-interaction"
    CROSS_ENCODER = "cross-encoder"
    ENDPOINT = "endpoint"


@dataclass(frozen=True)
class EndpointSettings:
    """An OpenAI-compatible API; without a base URL there is none."""

    base_url: str
    model: str
    api_key: str


NO_ENDPOINT: Final = EndpointSettings("", "", "")


@dataclass(frozen=True)
class ServerSettings:
    """A Qdrant server; without a URL the engine runs in this process."""

    url: str
    api_key: str
    shards: int
    replicas: int
    quantised: bool


@dataclass(frozen=True)
class IndexSettings:
    """What an index is built with: another encoder, cut or engine is another generation."""

    server: ServerSettings
    encoder_dir: Path
    embedding: EndpointSettings
    embedding_revision: str
    passage_tokens: int
    """The most of a passage."""


@dataclass(frozen=True)
class RerankerSettings:
    """The second look at the best passages."""

    kind: RerankerKind
    directory: Path
    endpoint: EndpointSettings
    workers: int


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    roles: Roles
    state_dir: Path
    """Belongs to one process at a time; not used with a server."""
    index: IndexSettings
    candidate: IndexSettings | None
    """What a generation beside the first is built with; None for no such."""
    index_workers: int
    """Threads that encode passages; queries have one of their own."""
    index_concurrency: int
    """Documents that are indexed at once."""
    encoder_memo_bytes: int
    """How much is kept of vectors of queries."""
    preferences: Preferences
    reranker: RerankerSettings
    poll_plan: Path | None
    """The folders and feeds to look into; None for none."""
    change_tables: Path | None
    """How rows of foreign topics become documents; None for none."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        index = _index(env)
        candidate = _index(env, index)
        settings = cls(
            service=ServiceSettings.from_env(env, "retrieval"),
            roles=Roles(env.choice("ROLES", Roles.BOTH.value, [each.value for each in Roles])),
            state_dir=env.path("STATE_DIR", Path(".plumbline/retrieval")),
            index=index,
            candidate=None if candidate == index else candidate,
            index_workers=env.integer("INDEX_WORKERS", 2, least=1),
            index_concurrency=env.integer("INDEX_CONCURRENCY", 64, least=1),
            encoder_memo_bytes=env.integer("ENCODER_MEMO_MIB", 16, least=0) * 2**20,
            preferences=_preferences(env),
            reranker=_reranker(env),
            poll_plan=_file(env, "POLL_PLAN"),
            change_tables=_file(env, "CHANGE_TABLES"),
        )
        env.check()
        if settings.roles is not Roles.BOTH and not index.server.url:
            raise SettingsError("ROLES parts api and indexer, which need an index that both reach: set QDRANT_URL")
        return settings

    @property
    def indexes(self) -> tuple[IndexSettings, ...]:
        """The first, and the one beside it."""
        return (self.index,) if self.candidate is None else (self.index, self.candidate)


NONE: Final = "none"
CANDIDATE: Final = "CANDIDATE_"
"""Begins the variables of the index beside the first; what is not set is as with that one."""


def _index(env: Env, first: IndexSettings | None = None) -> IndexSettings:
    """The first index, or the one beside *first*."""
    if first is None:
        return IndexSettings(
            server=_server(env),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            embedding=_endpoint(env, "EMBEDDING"),
            embedding_revision=env.text("EMBEDDING_REVISION", ""),
            passage_tokens=env.integer("PASSAGE_TOKENS", BUDGET_TOKENS, least=LEAST_TOKENS),
        )
    return IndexSettings(
        server=replace(first.server, url=_unless_none(env.text(f"{CANDIDATE}QDRANT_URL", first.server.url))),
        encoder_dir=env.path(f"{CANDIDATE}ENCODER_DIR", first.encoder_dir),
        embedding=_endpoint(env, f"{CANDIDATE}EMBEDDING", first.embedding),
        embedding_revision=env.text(f"{CANDIDATE}EMBEDDING_REVISION", first.embedding_revision),
        passage_tokens=env.integer(f"{CANDIDATE}PASSAGE_TOKENS", first.passage_tokens, least=LEAST_TOKENS),
    )


def _unless_none(url: str) -> str:
    """An empty variable counts as not set, so a candidate needs a word for "no server"."""
    return "" if url == NONE else url


def _file(env: Env, name: str) -> Path | None:
    return Path(given) if (given := env.text(name, "")) else None


def _server(env: Env) -> ServerSettings:
    return ServerSettings(
        url=env.text("QDRANT_URL", ""),
        api_key=env.text("QDRANT_API_KEY", ""),
        shards=env.integer("QDRANT_SHARDS", 1, least=1),
        replicas=env.integer("QDRANT_REPLICAS", 1, least=1),
        quantised=env.flag("QDRANT_QUANTISED", False),
    )


def _endpoint(env: Env, prefix: str, default: EndpointSettings = NO_ENDPOINT) -> EndpointSettings:
    return EndpointSettings(
        base_url=_unless_none(env.text(f"{prefix}_BASE_URL", default.base_url)),
        model=env.text(f"{prefix}_MODEL", default.model),
        api_key=env.text(f"{prefix}_API_KEY", default.api_key),
    )


def _preferences(env: Env) -> Preferences:
    days = env.number("HALF_LIFE_DAYS", 0.0)
    half_life = timedelta(days=days) if days else None
    return Preferences(trust_weight=env.number("TRUST_WEIGHT", 0.1), half_life=half_life)


def _reranker(env: Env) -> RerankerSettings:
    return RerankerSettings(
        kind=RerankerKind(env.choice("RERANKER", RerankerKind.NONE.value, [each.value for each in RerankerKind])),
        directory=env.path("RERANKER_DIR", Path(".plumbline/models/reranker")),
        endpoint=_endpoint(env, "RERANKER"),
        workers=env.integer("RERANKER_WORKERS", 1, least=1),
    )
