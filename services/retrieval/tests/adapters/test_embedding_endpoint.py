"""Vectors over HTTP, from a server that fails as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from plumbline_kit.bus import Backoff
from plumbline_kit.errors import Invalid, Unavailable
from plumbline_kit.testing import FakeClock, eventually
from plumbline_kit.testing.llm import DIMENSIONS, FakeLLM
from plumbline_retrieval.adapters.embedding_endpoint import PROBE, EndpointEncoder

SOON = Backoff(first=0.001)


@asynccontextmanager
async def opened(server: FakeLLM, clock: FakeClock | None = None, **options: Any) -> AsyncIterator[EndpointEncoder]:
    """An encoder of *server*'s that has asked for its one vector."""
    options = {"backoff": SOON} | options
    encoder = await EndpointEncoder.open(server.base_url, "bge-m3", "key", clock=clock or FakeClock(), **options)
    yield encoder
    await encoder.aclose()


def answer(*vectors: object, indexes: tuple[int, ...] | None = None) -> dict[str, Any]:
    """The failure that is an answer with these *vectors*."""
    numbers = indexes or tuple(range(len(vectors)))
    data = [{"index": number, "embedding": vector} for number, vector in zip(numbers, vectors, strict=True)]
    return {"garbage": json.dumps({"data": data})}


async def test_vectors_are_unit_rows_in_the_order_of_the_texts() -> None:
    async with FakeLLM(embed=lambda text: [len(text), 3]) as server, opened(server) as encoder:
        vectors = await encoder.encode(["four", ""])
    assert np.allclose(vectors, [[0.8, 0.6], [0, 1]])
    assert vectors.dtype == np.float32


async def test_a_question_has_the_vector_that_it_would_have_as_a_passage() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        question, [passage] = await encoder.encode_one("grey lamp"), await encoder.encode(["grey lamp"])
    assert question.shape == (encoder.dimensions,) == (DIMENSIONS,)
    assert np.array_equal(question, passage)


async def test_it_asks_for_the_model_with_the_key() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        await encoder.encode(["lamp", "moon"])
    assert server.requests[0] == {"model": "bge-m3", "input": [PROBE], "encoding_format": "float"}
    assert server.requests[1]["input"] == ["lamp", "moon"]
    assert server.headers[1]["authorization"] == "Bearer key"


async def test_the_order_is_that_of_the_indexes() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        first, second = np.eye(DIMENSIONS).tolist()[:2]
        with server.failing(**answer(second, first, indexes=(1, 0))):
            assert np.array_equal(await encoder.encode(["lamp", "moon"]), [first, second])


async def test_no_texts_ask_nothing() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        assert (await encoder.encode([])).shape == (0, DIMENSIONS)
    assert len(server.requests) == 1


async def test_many_texts_go_in_requests_of_64_and_two_at_once() -> None:
    texts = [f"lamp {number}" for number in range(3 * 64 + 1)]
    async with FakeLLM(first_token_seconds=0.02) as server, opened(server) as encoder:
        vectors, again = await asyncio.gather(encoder.encode(texts), encoder.encode(texts[:64]))
        assert sorted(len(request["input"]) for request in server.requests) == [1, 1, 64, 64, 64, 64]
        assert server.most_at_once == 2
        assert np.array_equal(vectors[-1], await encoder.encode_one(texts[-1]))
    assert np.array_equal(vectors[:64], again)


async def test_a_question_does_not_wait_for_passages() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(hang=True, times=2):
            passages = asyncio.create_task(encoder.encode(["lamp"] * 200))
            await eventually(lambda: len(server.requests) == 3)
            assert (await encoder.encode_one("lamp")).shape == (DIMENSIONS,)
            passages.cancel()
            await asyncio.gather(passages, return_exceptions=True)


async def test_where_one_request_fails_the_rest_is_not_asked_for() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(status=401), pytest.raises(Unavailable):
            await encoder.encode(["lamp"] * 64 * 10)
        assert len(server.requests) <= 1 + 2 + 1  # one may take the place of the first before it is stopped
        assert len(await encoder.encode(["lamp"] * 64 * 3)) == 64 * 3  # every place is free again


# --- what the encoder is known by


async def identity(server: FakeLLM, model: str = "bge-m3", revision: str = "") -> str:
    encoder = await EndpointEncoder.open(server.base_url, model, clock=FakeClock(), revision=revision)
    await encoder.aclose()
    return encoder.id


async def test_the_id_names_the_model_and_stays() -> None:
    async with FakeLLM() as server:
        name, digits = (await identity(server)).split("@")
        assert name == "bge-m3"
        assert len(bytes.fromhex(digits)) == 4
        assert await identity(server) == f"{name}@{digits}"


async def test_a_model_whose_vectors_differ_in_their_last_digits_is_the_same() -> None:
    async with FakeLLM(embed=lambda _: [0.6, 0.8]) as server:
        before = await identity(server)
        server.embed = lambda _: [0.6004, 0.7996]
        assert await identity(server) == before


async def test_another_revision_has_another_id() -> None:
    async with FakeLLM() as server:
        assert await identity(server) != await identity(server, revision="2")


async def test_another_name_or_address_has_another_id() -> None:
    async with FakeLLM() as server, FakeLLM() as other:
        ids = {await identity(server), await identity(server, "bge-m4"), await identity(other)}
    assert len({each.split("@")[1] for each in ids}) == 3


async def test_a_model_that_cannot_be_asked_at_the_start_is_told() -> None:
    async with FakeLLM() as server:
        with server.failing(status=503), pytest.raises(Unavailable, match="the embedding endpoint answered with"):
            async with opened(server):
                pass


# --- what goes wrong


@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"status": 408}, {"drop_after": 0}], ids=str)
async def test_a_failure_that_passes_is_not_noticed(how: dict[str, Any]) -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(times=2, **how):
            assert len(await encoder.encode(["lamp"])) == 1
    assert len(server.requests) == 4


async def test_a_lost_answer_is_asked_for_again() -> None:
    async with FakeLLM() as server, opened(server, query_seconds=1) as encoder:
        with server.failing(hang=True, times=1):
            assert len(await encoder.encode_one("lamp")) == DIMENSIONS


@pytest.mark.parametrize(
    ("how", "tries", "reason"),
    [
        ({"status": 500}, 3, "answered with status 500$"),
        ({"status": 429}, 3, "answered with status 429$"),
        ({"drop_after": 0}, 3, "could not be reached"),
        ({"hang": True}, 3, r"did not answer within 0\.1 s"),
        ({"status": 401}, 1, "status 401: it does not take the key"),
        ({"status": 403}, 1, "status 403: it does not take the key"),
        ({"status": 404}, 1, "status 404: it has no such path or model"),
        ({"status": 501}, 1, "status 501: it has no such path or model"),
        ({"status": 302}, 1, "status 302$"),
        ({"garbage": "{half"}, 1, "something else than JSON"),
        ({"garbage": "[]"}, 1, "one vector for each of 1 texts"),
        ({"garbage": '{"data": [{"index": 0, "embedding": "AACAPw=="}]}'}, 1, "one vector for each"),
        (answer(), 1, "one vector for each"),
        (answer([1.0], [1.0]), 1, "one vector for each"),
        (answer([1.0], [1.0], indexes=(0, 0)), 1, "one vector for each"),
        (answer([1.0], indexes=(1,)), 1, "one vector for each"),
        (answer(1.0), 1, "one vector for each"),
        (answer([1.0] * 8), 1, f"8 dimensions after {DIMENSIONS}: its model was changed"),
        (answer([None] * DIMENSIONS), 1, "not finite, or zero"),
        (answer([float("nan")] * DIMENSIONS), 1, "not finite, or zero"),
        (answer([1e300] * DIMENSIONS), 1, "not finite, or zero"),
        (answer([0.0] * DIMENSIONS), 1, "not finite, or zero"),
    ],
)
async def test_it_is_unavailable_for_a_reason(how: dict[str, Any], tries: int, reason: str) -> None:
    seconds = 0.2 if "hang" in how else 5
    async with FakeLLM() as server, opened(server, query_seconds=seconds) as encoder:
        with server.failing(**how), pytest.raises(Unavailable, match=reason):
            await encoder.encode_one("lamp")
    assert len(server.requests) == 1 + tries


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_text_that_the_model_does_not_take_is_the_callers(status: int) -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(status=status, times=1), pytest.raises(Invalid, match="too long"):
            await encoder.encode(["secret " * 9000])
    assert len(server.requests) == 3  # the last one asks whether it takes any text at all


async def test_an_endpoint_that_takes_no_text_at_all_is_the_operators() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(status=400), pytest.raises(Unavailable, match="takes no text at all"):
            await encoder.encode(["lamp"])


async def test_an_endpoint_that_takes_fewer_texts_at_once_gets_halves() -> None:
    async with FakeLLM() as server, opened(server) as encoder:
        with server.failing(status=413, times=1):
            assert (await encoder.encode(["lamp", "desk"])).shape == (2, encoder.dimensions)
    assert len(server.requests) == 4


async def test_a_server_that_goes_away_is_unavailable() -> None:
    async with FakeLLM() as server:
        encoder = await EndpointEncoder.open(server.base_url, "bge-m3", clock=FakeClock(), backoff=SOON)
    with pytest.raises(Unavailable, match="could not be reached"):
        await encoder.encode_one("lamp")
    await encoder.aclose()


@pytest.mark.parametrize(
    ("header", "waited"),
    [("3", 3.0), ("Thu, 01 Jan 2026 00:00:02 GMT", 2.0), ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0), ("soon", 0.0)],
)
async def test_it_waits_as_long_as_the_server_asks(header: str, waited: float) -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with FakeLLM() as server, opened(server, clock) as encoder:
        with server.failing(status=429, retry_after=header, times=1):
            await encoder.encode_one("lamp")
    assert clock.monotonic() == pytest.approx(waited, abs=0.01)


async def test_a_wait_that_is_too_long_is_handed_on() -> None:
    clock = FakeClock()
    async with FakeLLM() as server, opened(server, clock) as encoder:
        with server.failing(status=429, retry_after="30"), pytest.raises(Unavailable) as raised:
            await encoder.encode_one("lamp")
        assert (raised.value.retry_after, clock.monotonic()) == (30, 0)
        with server.failing(status=429, retry_after="30", times=1):
            assert len(await encoder.encode(["lamp"])) == 1  # passages have the time
    assert clock.monotonic() == 30


async def test_it_waits_longer_from_try_to_try() -> None:
    clock = FakeClock()
    async with FakeLLM() as server, opened(server, clock, backoff=Backoff(first=1)) as encoder:
        with server.failing(status=503), pytest.raises(Unavailable):
            await encoder.encode_one("lamp")
    assert 0.5 + 1 <= clock.monotonic() <= 1 + 2
