"""What the local platform reads from the environment, once, where it starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[4]
"""The repository: every service runs in it, so that relative paths in its settings mean the same everywhere."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where the platform keeps what it makes, and what it hands on to its processes."""

    state: Path
    """Data, logs, keys: everything that `make clean` removes."""
    cache: Path
    """What every clone on this machine shares: the broker's jars."""
    inherited: Mapping[str, str]
    """The environment that every process of the platform starts from."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "LocalSettings":
        """Read `PLUMBLINE_STATE` and `XDG_CACHE_HOME`; both have defaults."""
        home = Path(values.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        state = Path(values.get("PLUMBLINE_STATE") or ROOT / ".plumbline")
        return cls(state=state.absolute(), cache=home.absolute() / "plumbline", inherited=dict(values))
