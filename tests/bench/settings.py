"""What benchmarks read from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Where the public data lies that benchmarks measure on."""

    data: Path

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "BenchSettings":
        """Read `PLUMBLINE_DATA`. Raises `SystemExit` that says what to do when there is no such folder."""
        data = Path(values.get("PLUMBLINE_DATA", "../shared/data"))
        if not data.is_dir():
            raise SystemExit(f"{data} is not a folder: set PLUMBLINE_DATA to the folder of the benchmark data")
        return cls(data)
