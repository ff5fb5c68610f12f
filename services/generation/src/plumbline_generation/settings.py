"""What generation can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbline_kit.addresses import address
from plumbline_kit.settings import Env, ServiceSettings


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    encoder_dir: Path
    """Its tokenizer counts what fits into a prompt."""
    llm_base_url: str
    llm_api_key: str = field(repr=False)
    concurrent_completions: int
    record_seconds: float
    """How long a finished answer waits to be recorded before it goes out as not recorded."""
    guard_output: str
    """What happens to what the guards find in an answer: redact, mark, block or off."""
    guard_failure: str
    """Whether what they could not check goes out: closed or open."""
    guard_seconds: float
    """Of scanning, for one answer."""
    guard_canary: str = field(repr=False)
    """A string that stands in the prompt and must never stand in an answer."""
    margin_seconds: float
    """How much of the caller's time is kept from the model, to answer without it."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            service=ServiceSettings.from_env(env, "generation"),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            llm_base_url=env.text("LLM_BASE_URL", f"http://{address('llm')}/v1"),
            llm_api_key=env.text("LLM_API_KEY", ""),
            concurrent_completions=env.integer("CONCURRENT_COMPLETIONS", 4, least=1),
            record_seconds=env.number("RECORD_SECONDS", 2.0),
            guard_output=env.choice("GUARD_OUTPUT", "redact", ("redact", "mark", "block", "off")),
            guard_failure=env.choice("GUARD_FAILURE", "closed", ("closed", "open")),
            guard_seconds=env.number("GUARD_SECONDS", 1.0),
            guard_canary=env.text("GUARD_CANARY", ""),
            margin_seconds=env.number("MARGIN_SECONDS", 0.5),
        )
        env.check()
        return settings
