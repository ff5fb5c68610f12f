"""What retrieval can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plumbline_kit.settings import Env, ServiceSettings


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    state_dir: Path
    """Belongs to one process at a time."""
    encoder_dir: Path
    index_workers: int
    """Threads that encode passages; queries have one of their own."""
    index_concurrency: int
    """Documents that are indexed at once."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            service=ServiceSettings.from_env(env, "retrieval"),
            state_dir=env.path("STATE_DIR", Path(".plumbline/retrieval")),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            index_workers=env.integer("INDEX_WORKERS", 2, least=1),
            index_concurrency=env.integer("INDEX_CONCURRENCY", 64, least=1),
        )
        env.check()
        return settings
