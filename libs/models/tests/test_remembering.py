"""RememberingEncoder: what is encoded again, and what is forgotten."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from plumbline_models.encoder import Vectors
from plumbline_models.remembering import ENTRY_BYTES, RememberingEncoder
from plumbline_models.threaded import ThreadedEncoder

PLACE = 4 + ENTRY_BYTES
"""Bytes of one vector of one number."""


class Lengths:
    """Encodes a text as its length, and keeps what it was asked for."""

    id = "lengths"
    dimensions = 1

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        if "bad" in texts:
            raise ValueError("bad")
        return np.array([[len(text)] for text in texts], np.float32)


@pytest.fixture
def lengths() -> Lengths:
    return Lengths()


async def test_a_text_is_encoded_once_and_told_of(lengths: Lengths) -> None:
    told: list[bool] = []
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=10 * PLACE, told=told.append)
    vectors = [await encoder.encode_one(text) for text in ("a", "bb", "a", "a")]
    assert [float(vector[0]) for vector in vectors] == [1, 2, 1, 1]
    assert lengths.texts == ["a", "bb"]
    assert told == [False, False, True, True]
    await encoder.aclose()


async def test_many_who_ask_at_once_have_it_encoded_once_and_one_may_leave(lengths: Lengths) -> None:
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=10 * PLACE)
    tasks = [asyncio.create_task(encoder.encode_one("a")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [float(vector[0]) for vector in results[1:]] == [1, 1, 1, 1]
    assert lengths.texts == ["a"]
    await encoder.aclose()


async def test_what_nobody_asked_for_longest_is_forgotten_first(lengths: Lengths) -> None:
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=2 * PLACE)
    for text in ("a", "b", "a", "c", "a", "b"):
        await encoder.encode_one(text)
    assert lengths.texts == ["a", "b", "c", "b"]
    await encoder.aclose()


async def test_without_room_nothing_is_remembered(lengths: Lengths) -> None:
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=0)
    assert [float((await encoder.encode_one("a"))[0]) for _ in range(2)] == [1, 1]
    assert lengths.texts == ["a", "a"]
    await encoder.aclose()


async def test_a_failure_is_everybodys_and_is_not_remembered(lengths: Lengths) -> None:
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=10 * PLACE)
    for _ in range(2):
        both = await asyncio.gather(encoder.encode_one("bad"), encoder.encode_one("bad"), return_exceptions=True)
        assert [type(each) for each in both] == [ValueError] * 2
    assert lengths.texts == ["bad", "bad"]
    await encoder.aclose()


async def test_a_shared_vector_cannot_be_written_to(lengths: Lengths) -> None:
    encoder = RememberingEncoder(ThreadedEncoder(lengths), most_bytes=10 * PLACE)
    with pytest.raises(ValueError, match="read-only"):
        (await encoder.encode_one("a"))[0] = 0.0
    await encoder.aclose()
