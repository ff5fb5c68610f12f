"""What the tests of reading arrange with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.adapters.reading import read
from plumbline_retrieval.domain.content import Content, File

FILES = Path(__file__).with_name("files")

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def as_file(name: str, data: bytes | str | None, media_type: str) -> File:
    if data is None:
        data = (FILES / name).read_bytes()
    return File(name, data.encode() if isinstance(data, str) else data, media_type)


@pytest.fixture(scope="session")
def content() -> ReadFile:
    """What is read from a file: `content("a.txt", "words")`, `content("handbook.pdf")` for one of `files`."""

    def read_it(name: str, data: bytes | str | None = None, media_type: str = "") -> Content:
        return read(as_file(name, data, media_type))

    return read_it


@pytest.fixture(scope="session")
def refusal() -> Refusal:
    """Why a file is refused: `refusal("a.txt", b"\\0")`."""

    def refuse(name: str, data: bytes | str | None = None, media_type: str = "") -> str:
        with pytest.raises(Invalid) as refused:
            read(as_file(name, data, media_type))
        (violation,) = refused.value.violations
        assert violation.field == "file"
        return violation.description

    return refuse
