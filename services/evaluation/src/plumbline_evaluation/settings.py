"""What evaluation can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plumbline_kit.addresses import address
from plumbline_kit.settings import Env, ServiceSettings


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform, but for the password of its PostgreSQL."""

    service: ServiceSettings
    postgres_dsn: str
    encoder_dir: Path
    encoder_workers: int
    """Threads that encode."""
    concurrent_answers: int
    """How many answers are evaluated at once."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            service=ServiceSettings.from_env(env, "evaluation"),
            postgres_dsn=env.text("POSTGRES_DSN", f"postgresql://postgres@{address('postgres')}/evaluation"),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            encoder_workers=env.integer("ENCODER_WORKERS", 1, least=1),
            concurrent_answers=env.integer("CONCURRENT_ANSWERS", 8, least=1),
        )
        env.check()
        return settings
