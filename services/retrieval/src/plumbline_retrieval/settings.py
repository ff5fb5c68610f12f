"""What retrieval can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path

from plumbline_kit.settings import Env, ServiceSettings, SettingsError
from plumbline_retrieval.domain.ranking import Preferences


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


@dataclass(frozen=True)
class ServerSettings:
    """A Qdrant server; without a URL the engine runs in this process."""

    url: str
    api_key: str
    shards: int
    replicas: int
    quantised: bool


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
    server: ServerSettings
    encoder_dir: Path
    embedding: EndpointSettings
    embedding_revision: str
    index_workers: int
    """Threads that encode passages; queries have one of their own."""
    index_concurrency: int
    """Documents that are indexed at once."""
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
        settings = cls(
            service=ServiceSettings.from_env(env, "retrieval"),
            roles=Roles(env.choice("ROLES", Roles.BOTH.value, [each.value for each in Roles])),
            state_dir=env.path("STATE_DIR", Path(".plumbline/retrieval")),
            server=_server(env),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            embedding=_endpoint(env, "EMBEDDING"),
            embedding_revision=env.text("EMBEDDING_REVISION", ""),
            index_workers=env.integer("INDEX_WORKERS", 2, least=1),
            index_concurrency=env.integer("INDEX_CONCURRENCY", 64, least=1),
            preferences=_preferences(env),
            reranker=_reranker(env),
            poll_plan=_file(env, "POLL_PLAN"),
            change_tables=_file(env, "CHANGE_TABLES"),
        )
        env.check()
        if settings.roles is not Roles.BOTH and not settings.server.url:
            raise SettingsError("ROLES parts api and indexer, which need an index that both reach: set QDRANT_URL")
        return settings


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


def _endpoint(env: Env, prefix: str) -> EndpointSettings:
    return EndpointSettings(
        base_url=env.text(f"{prefix}_BASE_URL", ""),
        model=env.text(f"{prefix}_MODEL", ""),
        api_key=env.text(f"{prefix}_API_KEY", ""),
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
