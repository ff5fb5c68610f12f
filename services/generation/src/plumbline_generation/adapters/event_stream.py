"""Server-sent events out of bytes, as the HTML standard (9.2.6) reads them, but strict about UTF-8."""

import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final

MAX_EVENT_CHARACTERS: Final = 1_000_000


class MalformedStream(Exception):
    """What came is no stream of events."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The data of each event. Raises `MalformedStream`.

    Chunks may end anywhere, within a character too. An event that the end cuts off is none.
    """
    data: list[str] = []
    async for line in _lines(chunks):
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
            if sum(map(len, data)) > MAX_EVENT_CHARACTERS:
                raise MalformedStream("an event has no end")
        elif not line and data:
            yield "\n".join(data)
            data = []


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
    async for chunk in chunks:
        try:
            rest += decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise MalformedStream("the stream is not UTF-8") from error
        *whole, rest = _split(rest)
        for line in whole:
            yield line
        if len(rest) > MAX_EVENT_CHARACTERS:
            raise MalformedStream("a line has no end")


def _split(text: str) -> Iterator[str]:
    """Lines by the ends that the standard knows; `str.splitlines` knows more, which JSON may hold."""
    held = text.endswith("\r")  # its "\n" may be on the way
    lines = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if held:
        lines[-1] += "\r"
    return iter(lines)
