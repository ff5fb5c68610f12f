"""What the trace store can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from plumbline_kit.addresses import HOST, PORTS
from plumbline_kit.settings import Env


@dataclass(frozen=True, slots=True)
class TracesSettings:
    """Where it listens, where it keeps spans, and how many for how long."""

    host: str
    port: int
    postgres_dsn: str
    keep_seconds: float
    keep_spans: int
    prune_seconds: float

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "TracesSettings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            host=env.text("HOST", HOST),
            port=env.integer("PORT", PORTS["traces"]),
            postgres_dsn=env.text("POSTGRES_DSN", f"postgresql://postgres@{HOST}:{PORTS['postgres']}/traces"),
            keep_seconds=env.number("KEEP_SECONDS", 7 * 24 * 3600),
            keep_spans=env.integer("KEEP_SPANS", 500_000, least=1),
            prune_seconds=env.number("PRUNE_SECONDS", 60),
        )
        env.check()
        return settings
