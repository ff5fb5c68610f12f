"""A file as it comes in, and what it says once it is read."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import Final

from plumbline_kit.errors import Invalid

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
"""Twenty times the text that a document may have: markup and pictures weigh, a book of scans does not fit."""


class Layout(Enum):
    """How a text is built, and so where it may be cut."""

    PROSE = "prose"
    RECORDS = "records"
    """Blocks with one empty line between them, each complete in itself: a row, an object."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was sent. Raises `Invalid` if it is empty or larger than MAX_FILE_BYTES."""

    name: str
    """With its suffix; folders before it do not matter."""
    data: bytes
    media_type: str = ""
    """Empty: decided from the name, then from the content."""

    def __post_init__(self) -> None:
        if not self.data:
            raise Invalid.field("file", "is empty: send one with text in it")
        if (size := len(self.data)) > MAX_FILE_BYTES:
            raise Invalid.field("file", f"has {size:,} bytes; at most {MAX_FILE_BYTES:,} are allowed: split it")

    @property
    def suffix(self) -> str:
        """The suffix in lower case with its dot, or nothing."""
        return self._path.suffix.lower()

    @property
    def title(self) -> str:
        """The name as a title: "opening-hours.txt" is "Opening hours"."""
        words = " ".join(re.sub(r"[-_]+", " ", self._path.stem).split())
        return words[:1].upper() + words[1:]

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self.name.replace("\\", "/"))


@dataclass(frozen=True, slots=True)
class Content:
    """What a file says."""

    title: str
    """The document's own, else the file's name."""
    text: str
    r"""Markdown, NFC, lines end in "\n"; no other control characters than "\t" and, between pages, "\f"."""
    layout: Layout
    media_type: str
    """What the file was read as."""
    notes: tuple[str, ...] = ()
    """What had to be guessed or was left out."""
