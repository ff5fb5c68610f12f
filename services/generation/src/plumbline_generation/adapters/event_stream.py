"""Server-sent events out of bytes, as the HTML standard (9.2.6) reads them, but strict about UTF-8."""

from collections.abc import Iterator
from typing import Final

MAX_EVENT_BYTES: Final = 1_000_000


class MalformedStream(Exception):
    """What came is no stream of events."""


class EventReader:
    """Reads one stream. An event that its end cuts off is none."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._held = 0

    def take(self, chunk: bytes) -> Iterator[str]:
        """The data of each event that *chunk* completes. Raises `MalformedStream`, once those before have been told.

        Chunks may end anywhere, within a character too.
        """
        for line in self._lines(chunk):
            if line.startswith(b"data:"):
                self._hold(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and self._data:
                data, self._data, self._held = self._data, [], 0
                yield _decoded(b"\n".join(data))

    def _hold(self, data: bytes) -> None:
        self._data.append(data)
        self._held += len(data)
        if self._held > MAX_EVENT_BYTES:
            raise MalformedStream("an event has no end")

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        *whole, self._rest = _split(self._rest + chunk)
        yield from whole
        if len(self._rest) > MAX_EVENT_BYTES:
            raise MalformedStream("a line has no end")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedStream("the stream is not UTF-8") from error


def _split(read: bytes) -> list[bytes]:
    """Lines by the ends that the standard knows; no byte of a longer character looks like one."""
    if b"\r" not in read:
        return read.split(b"\n")
    held = read.endswith(b"\r")  # its "\n" may be on the way
    lines = read.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if held:
        lines[-1] += b"\r"
    return lines
