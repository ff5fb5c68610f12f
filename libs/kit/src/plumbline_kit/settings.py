"""Typed reads of an environment: every problem of it is told at once, in words that say what is wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plumbline_kit.addresses import HOST, PORTS, address
from plumbline_kit.errors import PlumblineError

T = TypeVar("T")

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class SettingsError(PlumblineError):
    """The environment is wrong; the text names each variable, its value and what is wanted."""


class Env:
    """Reads variables of a mapping. A wrong value yields the default until `check` tells of all wrong ones."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        """The variable as it is; an empty one counts as not set."""
        return self._values.get(name) or default

    def integer(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number of at least *least*."""
        return self._parsed(name, default, int, f"a whole number of at least {least}", lambda value: value >= least)

    def number(self, name: str, default: float) -> float:
        """A number of at least 0; durations are in seconds."""
        return self._parsed(name, default, float, "a number of at least 0", lambda value: 0 <= value < float("inf"))

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        return self.choice(name, str(default).lower(), TRUE + FALSE) in TRUE

    def choice(self, name: str, default: str, values: Sequence[str]) -> str:
        """One of *values*, which are lower case; the variable's case does not matter."""
        return self._parsed(name, default, str.lower, f"one of {', '.join(values)}", values.__contains__)

    def choices(self, name: str, default: Sequence[str], values: Sequence[str]) -> tuple[str, ...]:
        """Any of *values* with commas between, or "none" for none of them; their case does not matter."""

        def parse(text: str) -> tuple[str, ...]:
            words = tuple(word.strip() for word in text.lower().split(","))
            return () if words == ("none",) else words

        wanted = f"none, or with commas between some of {', '.join(values)}"
        return self._parsed(name, tuple(default), parse, wanted, lambda words: set(words) <= set(values))

    def path(self, name: str, default: Path) -> Path:
        """A file or folder, which need not exist."""
        return Path(self.text(name, str(default)))

    def check(self) -> None:
        """Raise `SettingsError` if any variable that was read so far is wrong."""
        if self._problems:
            raise SettingsError("; ".join(self._problems))

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str, fits: Callable[[T], bool]) -> T:
        given = self._values.get(name)
        if not given:
            return default
        try:
            value = parse(given)
        except ValueError:
            value = None
        if value is None or not fits(value):
            self._problems.append(f"{name} is {given!r}, wanted is {wanted}")
            return default
        return value


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What every service has to know."""

    name: str
    host: str
    port: int
    """0 picks a free one."""
    kafka_bootstrap_servers: str
    auth_jwks: str
    """Path or http(s) URL of the issuer's key set."""
    auth_issuer: str
    auth_audience: str
    otlp_traces_endpoint: str
    """Empty turns the export off."""
    otlp_metrics_endpoint: str
    metric_interval_ms: int
    """Between two exports of metrics."""
    log_level: str
    reflection: bool
    release_file: Path
    drain_seconds: float
    """How long running calls may go on once the service is told to stop."""
    max_connection_age_seconds: float
    """After this long a client has to connect again, and so finds new servers; running calls end where they are."""

    @classmethod
    def from_env(cls, env: Env, name: str) -> "ServiceSettings":
        """Read what is set; every default works on the local platform."""
        return cls(
            name=name,
            host=env.text("HOST", HOST),
            port=env.integer("PORT", PORTS.get(name, 0)),
            kafka_bootstrap_servers=env.text("KAFKA_BOOTSTRAP_SERVERS", address("kafka")),
            auth_jwks=env.text("AUTH_JWKS", ".plumbline/auth/jwks.json"),
            auth_issuer=env.text("AUTH_ISSUER", "plumbline-local"),
            auth_audience=env.text("AUTH_AUDIENCE", "plumbline"),
            otlp_traces_endpoint=env.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
            otlp_metrics_endpoint=env.text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""),
            metric_interval_ms=env.integer("OTEL_METRIC_EXPORT_INTERVAL", 10_000, least=1),
            log_level=env.choice("LOG_LEVEL", "info", LOG_LEVELS),
            reflection=env.flag("GRPC_REFLECTION", False),
            release_file=env.path("RELEASE_FILE", Path("deploy/local/release.toml")),
            drain_seconds=env.number("DRAIN_SECONDS", 10.0),
            max_connection_age_seconds=env.number("MAX_CONNECTION_AGE_SECONDS", 300.0),
        )
