"""Where each part listens when nothing else is said: the one table of local ports."""

from typing import Final

HOST: Final = "127.0.0.1"

PORTS: Final = {
    "gateway": 7100,
    "retrieval": 7101,
    "generation": 7102,
    "cache": 7103,
    "evaluation": 7104,
    "kafka": 7110,
    "kafka-controller": 7111,
    "postgres": 7112,
    "llm": 7113,
    "traces": 7114,
}


def address(part: str) -> str:
    """Host and port of a *part* of the local platform."""
    return f"{HOST}:{PORTS[part]}"
