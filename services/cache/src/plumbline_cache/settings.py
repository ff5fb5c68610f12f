"""What the cache can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plumbline_cache.domain.room import Bounds
from plumbline_kit.settings import Env, ServiceSettings


@dataclass(frozen=True)
class ServerSettings:
    """A Qdrant server; without a URL the engine runs in this process."""

    url: str
    api_key: str
    shards: int
    replicas: int


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    state_dir: Path
    """Belongs to one process at a time; not used with a server."""
    server: ServerSettings
    encoder_dir: Path
    encoder_memo_bytes: int
    """How much is kept of vectors of questions."""
    bounds: Bounds

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            service=ServiceSettings.from_env(env, "cache"),
            state_dir=env.path("STATE_DIR", Path(".plumbline/cache")),
            server=ServerSettings(
                url=env.text("QDRANT_URL", ""),
                api_key=env.text("QDRANT_API_KEY", ""),
                shards=env.integer("QDRANT_SHARDS", 1, least=1),
                replicas=env.integer("QDRANT_REPLICAS", 1, least=1),
            ),
            bounds=Bounds(
                env.integer("MAX_ENTRIES", 100_000, least=1), env.integer("MAX_ENTRIES_PER_TENANT", 20_000, least=1)
            ),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            encoder_memo_bytes=env.integer("ENCODER_MEMO_MIB", 16, least=0) * 2**20,
        )
        env.check()
        return settings
