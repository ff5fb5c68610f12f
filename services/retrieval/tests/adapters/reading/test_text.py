"""Plain text and Markdown in the encodings they come in."""

import unicodedata
from collections.abc import Callable

import pytest

from plumbline_retrieval.domain.content import Content, Layout

GERMAN = "Das Geschäft ist werktags von neun bis achtzehn Uhr geöffnet. Für Käufer gibt es Lampen in fünf Größen."
FRENCH = (
    "Le magasin est ouvert en semaine de neuf heures à dix-huit heures. La lampe est livrée déjà montée, l\u2019été."
)
POLISH = "Sklep jest otwarty w dni powszednie od dziewiątej do osiemnastej. Zażółć gęślą jaźń, łódź kosztuje złotych."
RUSSIAN = "Магазин открыт по будням с девяти до шести. Лампа стоит двенадцать рублей."  # noqa: RUF001  # Cyrillic is the point
JAPANESE = "営業時間は平日の九時から六時までです。ランプは千円です。"

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def test_plain_text_stays_as_it_is_under_the_name_of_its_file(content: ReadFile) -> None:
    found = content("info/opening-hours.txt", "Open from *nine*.\n\nClosed on Sundays.\n")
    assert found == Content("Opening hours", "Open from *nine*.\n\nClosed on Sundays.", Layout.PROSE, "text/plain")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [GERMAN, JAPANESE])
def test_unicode_is_read_without_a_guess(content: ReadFile, text: str, encoding: str) -> None:
    found = content("hours.txt", text.encode(encoding))
    assert (found.text, found.notes) == (text, ())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_without_its_mark(content: ReadFile, encoding: str) -> None:
    found = content("hours.txt", GERMAN.encode(encoding))
    assert (found.text, found.notes) == (GERMAN, ("no byte order mark, read as UTF-16",))


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (GERMAN, "cp1252", "Windows-1252"),
        (FRENCH, "cp1252", "Windows-1252"),
        ("café", "cp1252", "Windows-1252"),
        (POLISH, "cp1250", "Windows-1250"),
        (RUSSIAN, "cp1251", "Windows-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (JAPANESE, "cp932", "Shift JIS"),
    ],
)
def test_older_encodings_are_guessed_with_a_note(content: ReadFile, text: str, encoding: str, name: str) -> None:
    found = content("hours.txt", text.encode(encoding))
    assert (found.text, found.notes) == (text, (f"not UTF-8, read as {name}",))


def test_a_long_text_is_guessed_by_its_beginning(content: ReadFile) -> None:
    text = "\n".join([JAPANESE] * 2_000)
    assert content("hours.txt", text.encode("cp932")).text == text


def test_a_broken_place_does_not_spoil_utf_8(content: ReadFile) -> None:
    found = content("hours.txt", RUSSIAN.encode() + b"\xff")
    assert found.text == f"{RUSSIAN}\ufffd"
    assert found.notes == ("1 places are not UTF-8, shown as \ufffd",)


def test_text_is_composed_and_has_one_kind_of_line_end_and_nothing_unseen(content: ReadFile) -> None:
    found = content(
        "hours.txt", unicodedata.normalize("NFD", "Geöffnet \r\nab\rneun\x1b, werk\xadtags\ufeff\u2028früh\f2")
    )
    assert found.text == "Geöffnet\nab\nneun, werktags\nfrüh\f2"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Intro\n\n## Opening hours ##\n\nFrom nine.\n\n# Later", "Opening hours"),
        ("Opening hours\n=====\n\nFrom nine.", "Opening hours"),
        ("```\n# no heading\n```\n\n# Opening hours\n", "Opening hours"),
        ('---\ntitle: "Opening hours"\ntags: [shop]\n---\n\n# Hours\n', "Opening hours"),
        ("From nine.", "The hours"),
    ],
)
def test_markdown_is_called_by_its_heading(content: ReadFile, text: str, title: str) -> None:
    found = content("the_hours.md", text)
    assert (found.title, found.text, found.media_type) == (title, text.strip(), "text/markdown")


@pytest.mark.parametrize("data", [b"lamp\0\1\2\3" * 9, b"\x01\x02\x03\x04lamp" * 9, bytes(range(256)) * 4])
def test_binary_data_called_text_is_refused(refusal: Refusal, data: bytes) -> None:
    assert refusal("lamp.txt", data).startswith("holds binary data and no text: send text, ")


@pytest.mark.parametrize("text", [" \n\t\n", "\ufeff", "*** --- !!!"])
@pytest.mark.parametrize("suffix", ["txt", "md", "html"])
def test_a_file_without_words_is_refused(refusal: Refusal, text: str, suffix: str) -> None:
    assert refusal(f"lamp.{suffix}", text) == "holds no letter and no digit: send one with text in it"


def test_more_text_than_a_document_may_have_is_refused_with_its_size(refusal: Refusal) -> None:
    sentence = refusal("lamp.txt", "ö" * 500_001)
    assert sentence == "has 1,000,002 bytes of text; at most 1,000,000 are allowed: split it"
