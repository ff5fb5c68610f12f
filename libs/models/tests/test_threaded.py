"""ThreadedEncoder: who waits for whom, and who hears of what."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from plumbline_models.encoder import Vectors
from plumbline_models.threaded import ThreadedEncoder


class GatedEncoder:
    """Encodes a text as its length; every request waits until the gate is open."""

    id = "lengths"
    dimensions = 1

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = threading.Event()
        self.begun, self.second_batch = asyncio.Event(), asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.batches: list[list[str]] = []
        self.error = error

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        self.loop.call_soon_threadsafe(self.begun.set)
        if len(self.batches) == 2:
            self.loop.call_soon_threadsafe(self.second_batch.set)
        assert self.gate.wait(10)
        if self.error is not None and "bad" in texts:
            raise self.error
        return np.array([[len(text)] for text in texts], np.float32)


def asking(encoder: ThreadedEncoder, *texts: str) -> list[asyncio.Task[Vectors]]:
    return [asyncio.create_task(encoder.encode_one(text)) for text in texts]


async def test_requests_are_served_in_order_and_each_by_itself() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated)
    tasks = asking(encoder, "a", "bb", "ccc")
    await asyncio.sleep(0)
    gated.gate.set()
    vectors = await asyncio.gather(*tasks)
    assert [float(vector[0]) for vector in vectors] == [1, 2, 3]
    assert gated.batches == [["a"], ["bb"], ["ccc"]]
    await encoder.aclose()


async def test_a_second_worker_does_not_wait_for_the_first() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated, workers=2)
    tasks = asking(encoder, "a", "bb")
    await gated.second_batch.wait()  # while the first request still holds its worker
    gated.gate.set()
    await asyncio.gather(*tasks)
    await encoder.aclose()


async def test_a_large_request_lets_a_small_one_through() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated)
    large = asyncio.create_task(encoder.encode(["x" * length for length in range(100)]))
    await asyncio.sleep(0)
    [small] = asking(encoder, "a question")
    gated.gate.set()
    await small
    assert not large.done()
    assert (await large)[:, 0].tolist() == list(range(100))
    await encoder.aclose()


async def test_a_caller_that_has_gone_does_not_disturb_the_others() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated)
    running, queued, patient = asking(encoder, "running", "queued", "patient")
    await asyncio.sleep(0)
    running.cancel()
    queued.cancel()
    await asyncio.sleep(0)  # in which it leaves the queue
    gated.gate.set()
    assert (await patient)[0] == 7
    assert gated.batches == [["running"], ["patient"]]
    await encoder.aclose()


async def test_an_error_reaches_who_asked_and_nobody_else() -> None:
    gated = GatedEncoder(error=ValueError("no such token"))
    encoder = ThreadedEncoder(gated)
    first, bad, beside = asking(encoder, "first", "bad", "beside")
    await asyncio.sleep(0)
    gated.gate.set()
    outcomes = await asyncio.gather(first, bad, beside, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [np.ndarray, ValueError, np.ndarray]
    assert (await encoder.encode_one("later"))[0] == 5
    await encoder.aclose()


async def test_closing_finishes_what_was_asked_for_and_refuses_more() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated)
    tasks = asking(encoder, "a", "bb")
    await asyncio.sleep(0)
    closing = asyncio.create_task(encoder.aclose())
    gated.gate.set()
    await asyncio.gather(closing, *tasks)
    with pytest.raises(RuntimeError, match="closed"):
        await encoder.encode_one("late")


async def test_no_texts_need_no_worker() -> None:
    encoder = ThreadedEncoder(GatedEncoder())
    assert (await encoder.encode([])).shape == (0, 1)
    await encoder.aclose()


async def test_its_motion_stands_still_while_it_hangs_and_goes_on_when_it_finishes() -> None:
    gated = GatedEncoder()
    encoder = ThreadedEncoder(gated)
    [task] = asking(encoder, "a")
    await gated.begun.wait()
    while (hanging := encoder.motion()) != encoder.motion():
        pass
    gated.gate.set()
    await task
    assert hanging.worked_seconds > 0
    assert encoder.motion().finished > hanging.finished
    await encoder.aclose()
