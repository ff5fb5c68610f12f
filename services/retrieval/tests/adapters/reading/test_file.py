"""Files that are refused before anybody reads them."""

import pytest

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.content import MAX_FILE_BYTES, File


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(Invalid, match=r"^file is empty: send one with text in it$"):
        File("lamp.txt", b"")


def test_a_file_above_the_limit_is_refused_with_its_size() -> None:
    File("lamp.txt", bytes(MAX_FILE_BYTES))
    with pytest.raises(Invalid, match=r"^file has 20,971,521 bytes; at most 20,971,520 are allowed: split it$"):
        File("lamp.txt", bytes(MAX_FILE_BYTES + 1))


@pytest.mark.parametrize(
    ("name", "title", "suffix"),
    [
        ("opening-hours.txt", "Opening hours", ".txt"),
        ("C:\\shop\\OPENING__hours.PDF", "OPENING hours", ".pdf"),
        ("info/2025.hours", "2025", ".hours"),
        ("hours", "Hours", ""),
        (".md", ".md", ""),
    ],
)
def test_a_file_is_called_by_its_name(name: str, title: str, suffix: str) -> None:
    file = File(name, b"x")
    assert (file.title, file.suffix) == (title, suffix)
