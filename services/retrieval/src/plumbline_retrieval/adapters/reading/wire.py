"""What the service and its reading processes say to each other.

Answers are JSON: a worker that a file has taken over can say only words.
"""

import json
from dataclasses import asdict
from typing import Any, Final

from plumbline_retrieval.domain.content import Content, File, Layout

LENGTH_BYTES: Final = 4
READY: Final = b"\x06"
"""The first byte of a worker, once it can read."""

REFUSED: Final = "refused"
HUNGRY: Final = "hungry"


def request(file: File) -> bytes:
    """All that goes to the worker ahead of the file's data."""
    return framed({"name": file.name, "media_type": file.media_type, "size": len(file.data)})


def answer(content: Content) -> bytes:
    """The answer of a worker that has read a file."""
    return framed(asdict(content) | {"layout": content.layout.value})


def framed(message: dict[str, Any]) -> bytes:
    """A message as the pipes carry it: its length, then JSON."""
    data = json.dumps(message, ensure_ascii=False).encode()
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def content(fields: dict[str, Any]) -> Content:
    """The content of an answer. Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
    title, text, media_type = (_word(fields[name]) for name in ("title", "text", "media_type"))
    return Content(title, text, Layout(fields["layout"]), media_type, tuple(map(_word, fields["notes"])))


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value
