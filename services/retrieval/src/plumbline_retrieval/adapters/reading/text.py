"""Bytes as characters, characters as tidy text, and the two formats that need no more than that."""

import codecs
import re
import unicodedata
from typing import Final

from plumbline_retrieval.adapters.reading.extract import Extract, refused

_BOMS: Final = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED: Final = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
    "cp1254": "Windows-1254",
    "koi8_r": "KOI8-R",
    "cp932": "Shift JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "euc_kr": "EUC-KR",
}
"""What text files are written in besides Unicode; a longer list makes short texts come out as a rarer one."""
_LANGUAGES: Final = {
    "cp1250": frozenset({"Croatian", "Czech", "Hungarian", "Polish", "Romanian", "Slovak", "Slovene"}),
    "cp1254": frozenset({"Turkish"}),
}
"""These differ from Windows-1252 in a few letters, so that any Latin text seems to fit; its language must, too."""
_GUESS_BYTES: Final = 100_000
_DAMAGED_SHARE: Final = 10
"""Text is UTF-8 with broken places if it has this many other characters beyond ASCII for each of them."""
_CONTROL_SHARE: Final = 10
"""Text may have control characters (of a terminal, say), binary data has more than one in this many."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_LINE_END: Final = re.compile("\r\n|[\r\v\x85\u2028\u2029]")
_UNSEEN: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff\ufffe\uffff]")
"""Control and other characters that are none, soft hyphens and byte order marks: they hide a word from a search."""
_TRAILING: Final = re.compile(r"[ \t]+$", re.MULTILINE)
_FENCED: Final = re.compile(r"^(```|~~~).*?(?:^\1|\Z)", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$|^(\S.*)\n(?:=+|-{3,})[ \t]*$", re.MULTILINE)
_FRONT_MATTER: Final = re.compile(r"\A---\n(.*?)\n---(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE: Final = re.compile(r"""^title:[ \t]*(["']?)(.+?)\1[ \t]*$""", re.MULTILINE)

Decoded = tuple[str, tuple[str, ...]]
"""A text, and notes on what had to be guessed."""


def read_plain(data: bytes) -> Extract:
    """Plain text as it is."""
    text, notes = decode(data)
    return Extract(text, notes=notes)


def read_markdown(data: bytes) -> Extract:
    """Markdown as it is; the title is its front matter's, else its first heading."""
    text, notes = decode(data)
    text = _LINE_END.sub("\n", text)
    front = _FRONT_MATTER.match(text)
    title = _FRONT_TITLE.search(front[1]) if front else None
    return Extract(text, title[2] if title else first_heading(text[front.end() if front else 0 :]), notes=notes)


def first_heading(text: str) -> str:
    """The words of the first Markdown heading outside of code; nothing if there is none."""
    found = _HEADING.search(_FENCED.sub("", text))
    return (found[1] or found[2]).strip() if found else ""


def tidy(text: str) -> str:
    r"""NFC with "\n" as line ends, and without what nobody sees."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _without_surrogates(text))
    text = _UNSEEN.sub("", _LINE_END.sub("\n", text))
    return _TRAILING.sub("", text).strip("\n")


def decode(data: bytes, declared: str = "") -> Decoded:
    """The text in *data*, which may declare its encoding. Raises `Invalid` for what is no text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _checked(data.decode(encoding, "replace")), ()
    if encoding := _wide(data):
        return _checked(_decoded(data, encoding)), ("no byte order mark, read as UTF-16",)
    try:
        return _checked(data.decode()), ()
    except UnicodeDecodeError:
        return _not_unicode(data, declared)


def _not_unicode(data: bytes, declared: str) -> Decoded:
    if b"\0" in data:
        raise _binary()
    if declared and (text := _try(data, declared)) is not None:
        return _checked(text), ()
    damaged = data.decode(errors="replace")
    broken = damaged.count("\ufffd")
    if sum(not character.isascii() for character in damaged) - broken >= _DAMAGED_SHARE * broken:
        return _checked(damaged), (f"{broken} places are not UTF-8, shown as \ufffd",)
    encoding = _guess(data)
    return _checked(data.decode(encoding, "replace")), (f"not UTF-8, read as {_GUESSED[encoding]}",)


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes  # most files are UTF-8 and do not need it

    sample = data[:_GUESS_BYTES]
    if len(data) > _GUESS_BYTES:  # to its last line end: a cut character would speak against its encoding
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(sample, cp_isolation=list(_GUESSED)).best()
    if best is None:
        if _try(data, "cp1252") is None:
            raise _binary()
        return "cp1252"
    languages = _LANGUAGES.get(best.encoding)
    other = languages is not None and best.language not in languages and _try(data, "cp1252") is not None
    return "cp1252" if other or best.encoding not in _GUESSED else best.encoding


def _wide(data: bytes) -> str:
    """The byte order of UTF-16 without a mark: every other byte of Latin text is zero."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(data) % 2 or max(even, odd) * 4 < len(sample) or min(even, odd) * 20 > len(sample):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def _decoded(data: bytes, encoding: str) -> str:
    text = _try(data, encoding)
    if text is None:
        raise _binary()
    return text


def _checked(text: str) -> str:
    sample = text[:_GUESS_BYTES]
    if "\0" in text or len(_CONTROL.findall(sample)) * _CONTROL_SHARE > len(sample):
        raise _binary()
    return text


def _binary() -> Exception:
    return refused("holds binary data and no text: send text, Markdown, HTML, PDF, DOCX, CSV, TSV or JSON")


def _without_surrogates(text: str) -> str:
    """Joins the halves of a character that JSON writes apart, and replaces those that miss the other half."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
