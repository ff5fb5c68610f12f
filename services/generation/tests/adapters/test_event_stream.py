"""Events out of bytes."""

from collections.abc import Iterator

import pytest

from plumbline_generation.adapters import event_stream
from plumbline_generation.adapters.event_stream import EventReader, MalformedStream


def read(body: bytes, size: int = 1_000) -> Iterator[str]:
    reader = EventReader()
    for start in range(0, len(body), size):
        yield from reader.take(body[start : start + size])


@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CR LF", "CR"])
def test_lines_end_in_three_ways_and_chunks_anywhere(end: str, size: int) -> None:
    text = "5 \u20ac\u2028\U0001fa94"
    lines = [f"data: {text}", "", ": a comment", "event: x", "data:one", "data: two", "", "data: cut off"]
    assert list(read((end.join(lines)).encode(), size)) == [text, "one\ntwo"]


@pytest.mark.parametrize("size", [11, 1_000], ids=["apart", "together"])
def test_what_is_not_utf_8_is_malformed_after_the_events_before_it(size: int) -> None:
    stream = read(b"data: one\n\n" + b"data: \xe2\x82\n\n", size)
    assert next(stream) == "one"
    with pytest.raises(MalformedStream):
        next(stream)


@pytest.mark.parametrize("body", [b"x" * 100, b"data: 12345678\n" * 10], ids=["a line", "an event"])
def test_what_has_no_end_is_malformed(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 50)
    with pytest.raises(MalformedStream):
        list(read(body, 10))
