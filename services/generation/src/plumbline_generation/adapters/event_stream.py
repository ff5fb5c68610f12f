"""Server-sent events out of bytes, as the HTML standard (9.2.6) reads them, but strict about UTF-8."""

import codecs
from collections.abc import Iterator
from typing import Final

MAX_EVENT_CHARACTERS: Final = 1_000_000


class MalformedStream(Exception):
    """What came is no stream of events."""


class EventReader:
    """Reads one stream. An event that its end cuts off is none."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""
        self._data: list[str] = []
        self._held = 0

    def take(self, chunk: bytes) -> Iterator[str]:
        """The data of each event that *chunk* completes. Raises `MalformedStream`.

        Chunks may end anywhere, within a character too.
        """
        for line in self._lines(chunk):
            if line.startswith("data:"):
                self._hold(line.removeprefix("data:").removeprefix(" "))
            elif not line and self._data:
                data, self._data, self._held = self._data, [], 0
                yield "\n".join(data)

    def _hold(self, data: str) -> None:
        self._data.append(data)
        self._held += len(data)
        if self._held > MAX_EVENT_CHARACTERS:
            raise MalformedStream("an event has no end")

    def _lines(self, chunk: bytes) -> list[str]:
        try:
            *whole, self._rest = _split(self._rest + self._decoder.decode(chunk))
        except UnicodeDecodeError as error:
            raise MalformedStream("the stream is not UTF-8") from error
        if len(self._rest) > MAX_EVENT_CHARACTERS:
            raise MalformedStream("a line has no end")
        return whole


def _split(text: str) -> list[str]:
    """Lines by the ends that the standard knows; `str.splitlines` knows more, which JSON may hold."""
    if "\r" not in text:
        return text.split("\n")
    held = text.endswith("\r")  # its "\n" may be on the way
    lines = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if held:
        lines[-1] += "\r"
    return lines
