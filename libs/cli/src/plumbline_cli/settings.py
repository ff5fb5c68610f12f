"""What the command line can be told by the environment; the only reader of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbline_local.layout import Layout

SERVICES = ("gateway", "retrieval", "cache", "evaluation", "generation")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the platform is and who asks. Every default is the local platform."""

    layout: Layout
    addresses: Mapping[str, str]
    kafka_bootstrap_servers: str
    traces_endpoint: str
    traces_dsn: str
    """Empty means the local trace store."""
    token: str = field(repr=False)
    """Empty means the developer's token of the local platform."""
    model_key: str = field(repr=False)
    """Of the endpoint that `prompt test` asks; empty where it needs none."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Read `GATEWAY_ADDRESS` and the like, `KAFKA_BOOTSTRAP_SERVERS`, `TRACES_DSN`, and the two keys."""
        layout = Layout.local()
        return cls(
            layout=layout,
            addresses={name: values.get(f"{name.upper()}_ADDRESS") or layout.address(name) for name in SERVICES},
            kafka_bootstrap_servers=values.get("KAFKA_BOOTSTRAP_SERVERS") or layout.address("kafka"),
            traces_endpoint=values.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or layout.address("traces"),
            traces_dsn=values.get("TRACES_DSN", ""),
            token=values.get("PLUMBLINE_TOKEN", ""),
            model_key=values.get("LLM_API_KEY", ""),
        )

    @property
    def token_file(self) -> Path:
        """Where `plumbline up` puts the developer's token."""
        return self.layout.auth / "token"
