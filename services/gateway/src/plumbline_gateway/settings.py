"""What the gateway can be told; the only reader of its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from plumbline_kit.addresses import address
from plumbline_kit.settings import Env, ServiceSettings


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    retrieval_address: str
    cache_address: str
    generation_address: str
    cache_seconds: float
    """How long a question waits for a cache that answers nobody before it goes on without."""
    reserve_seconds: float
    """How much of the caller's time is kept from generation, to answer without it."""
    concurrent_asks: int
    waiting_asks: int
    """How many may wait for an answer that is written for another question of the same text."""
    writing_seconds: float
    """How long an answer may be written for those who wait, when whoever asked first waits less."""
    unannounced_answers: int
    """How many answers may wait for the event log before their facts are lost."""
    audits_per_minute: int
    """How many hits are answered afresh too; 0 for none."""
    audits_at_once: int
    audit_seconds: float
    """What one audit may take."""
    redacts_stored: bool
    """Whether published texts are redacted."""

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable that is wrong."""
        env = Env(values)
        settings = cls(
            service=ServiceSettings.from_env(env, "gateway"),
            retrieval_address=env.text("RETRIEVAL_ADDRESS", address("retrieval")),
            cache_address=env.text("CACHE_ADDRESS", address("cache")),
            generation_address=env.text("GENERATION_ADDRESS", address("generation")),
            cache_seconds=env.number("CACHE_SECONDS", 0.5),
            reserve_seconds=env.number("RESERVE_SECONDS", 0.25),
            concurrent_asks=env.integer("CONCURRENT_ASKS", 64, least=1),
            waiting_asks=env.integer("WAITING_ASKS", 1_000, least=0),
            writing_seconds=env.number("WRITING_SECONDS", 30.0),
            unannounced_answers=env.integer("UNANNOUNCED_ANSWERS", 1_000, least=1),
            audits_per_minute=env.integer("AUDITS_PER_MINUTE", 30),
            audits_at_once=env.integer("AUDITS_AT_ONCE", 1, least=1),
            audit_seconds=env.number("AUDIT_SECONDS", 30.0),
            redacts_stored=env.choice("GUARD_STORED", "redact", ("redact", "off")) == "redact",
        )
        env.check()
        return settings
