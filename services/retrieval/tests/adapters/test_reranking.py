"""Three rerankers: what their scores promise, and how the one on a server fails."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_kit.bus import Backoff
from plumbline_kit.errors import Invalid, Unavailable
from plumbline_kit.testing import FakeClock
from plumbline_kit.testing.llm import FakeLLM
from plumbline_models import Encoder
from plumbline_retrieval.adapters.reranking import CrossEncoderReranker, EndpointReranker, TokenInteraction
from plumbline_retrieval.ports import Vector

QUESTION = "How do I return a lamp?"


class Directions:
    """A token is a word, and its vector a direction: words are alike or at right angles, and "anti" is the opposite."""

    words = ("grey", "lamp", "moon")

    def token_vectors(self, text: str) -> Vector:
        rows = [self._vector(word) for word in text.split()]
        return np.array(rows, np.float32).reshape(len(rows), len(self.words))

    def _vector(self, word: str) -> Vector:
        sign = -1 if word.startswith("anti") else 1
        return np.eye(len(self.words), dtype=np.float32)[self.words.index(word.removeprefix("anti"))] * sign


class Lengths:
    """Scores a text by its length, once the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.threads: set[str] = set()

    def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        assert self.gate.wait(10)
        self.threads.add(threading.current_thread().name)
        return [len(text) / 10 for text in texts]


# --- token by token


@pytest.mark.parametrize(
    ("question", "text", "score"),
    [
        ("grey lamp", "lamp grey moon", 1.0),
        ("grey lamp", "moon lamp", 0.5),
        ("grey lamp", "moon", 0.0),
        ("grey lamp", "antigrey antilamp", 0.0),
        ("lamp lamp lamp grey", "lamp", 0.75),
        ("grey lamp", "", 0.0),
        ("", "grey lamp", 0.0),
    ],
)
async def test_a_score_is_the_mean_over_the_questions_tokens_of_the_best_cosine(
    question: str, text: str, score: float
) -> None:
    reranker = TokenInteraction(Directions())
    assert await reranker.scores(question, [text]) == [pytest.approx(score)]
    await reranker.aclose()


async def test_on_the_real_encoder_what_answers_comes_before_what_shares_a_word(encoder_dir: Path) -> None:
    reranker = TokenInteraction(Encoder.load(encoder_dir, with_tokens=True))
    answers, shares_a_word, unrelated = await reranker.scores(
        QUESTION,
        ["Send the lamp back to us within 30 days.", "The lamp is made of steel.", "The moon orbits the earth."],
    )
    assert 1 >= answers > shares_a_word > unrelated >= 0
    assert await reranker.scores(QUESTION, [QUESTION]) == [pytest.approx(1, abs=1e-5)]
    await reranker.aclose()


async def test_no_texts_have_no_scores() -> None:
    reranker = TokenInteraction(Directions())
    assert await reranker.scores("lamp", []) == []
    await reranker.aclose()


# --- both at once


async def test_the_event_loop_goes_on_while_a_model_computes() -> None:
    scorer = Lengths()
    reranker = CrossEncoderReranker(scorer)
    asked = [asyncio.create_task(reranker.scores("lamp", ["four", "a"])) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in asked)
    scorer.gate.set()
    assert await asyncio.gather(*asked) == [[0.4, 0.1]] * 3
    assert scorer.threads == {"reranker_0"}  # one after the other
    await reranker.aclose()


async def test_closing_finishes_what_was_begun_and_refuses_more() -> None:
    scorer = Lengths()
    reranker = CrossEncoderReranker(scorer)
    asked = asyncio.create_task(reranker.scores("lamp", ["four"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(reranker.aclose())
    scorer.gate.set()
    await closing
    assert await asked == [0.4]
    with pytest.raises(RuntimeError):
        await reranker.scores("lamp", ["four"])


# --- on a server


@asynccontextmanager
async def connected(server: FakeLLM, **options: Any) -> AsyncIterator[EndpointReranker]:
    options = {"backoff": Backoff(first=0.001)} | options
    reranker = EndpointReranker(server.base_url, "bge-reranker", "key", clock=FakeClock(), **options)
    yield reranker
    await reranker.aclose()


def ranked(*results: tuple[object, object]) -> dict[str, Any]:
    """The failure that is an answer with these indexes and scores."""
    found = [{"index": index, "relevance_score": score} for index, score in results]
    return {"garbage": json.dumps({"results": found})}


async def test_scores_are_in_the_order_of_the_texts_and_not_of_the_answer() -> None:
    async with FakeLLM() as server, connected(server) as reranker:
        assert await reranker.scores("grey lamp", ["moon", "a grey lamp", "a lamp"]) == [0, 1, 0.5]
    assert server.requests == [
        {"model": "bge-reranker", "query": "grey lamp", "documents": ["moon", "a grey lamp", "a lamp"]}
    ]
    assert server.headers[0]["authorization"] == "Bearer key"


async def test_raw_logits_become_sigmoids_all_of_an_answer() -> None:
    logits = {"a": -4.0, "b": 0.5, "c": 7.0}
    async with FakeLLM(rank=lambda _, text: logits[text]) as server, connected(server) as reranker:
        scores = await reranker.scores("lamp", ["a", "b", "c"])
    assert scores == pytest.approx([1 / (1 + exp(-logit)) for logit in logits.values()])


async def test_no_texts_ask_nothing() -> None:
    async with FakeLLM() as server, connected(server) as reranker:
        assert await reranker.scores("lamp", []) == []
    assert server.requests == []


@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"drop_after": 0}], ids=str)
async def test_a_failure_that_passes_is_not_noticed(how: dict[str, Any]) -> None:
    async with FakeLLM() as server, connected(server) as reranker:
        with server.failing(times=2, **how):
            assert await reranker.scores("lamp", ["lamp"]) == [1]


@pytest.mark.parametrize(
    ("how", "tries", "reason"),
    [
        ({"status": 500}, 3, "the reranking endpoint answered with status 500"),
        ({"hang": True}, 3, r"did not answer within 0\.1 s"),
        ({"status": 401}, 1, "does not take the key"),
        ({"status": 501}, 1, "no such path or model"),
        ({"garbage": "null"}, 1, "one score for each of 2 texts"),
        ({"garbage": '{"results": 7}'}, 1, "one score for each"),
        (ranked((0, 0.5)), 1, "one score for each"),
        (ranked((0, 0.5), (0, 0.7)), 1, "one score for each"),
        (ranked((0, 0.5), (1, 0.7), (1, 0.7)), 1, "one finite score for each"),
        (ranked((0, 0.5), (2, 0.7)), 1, "one score for each"),
        (ranked((0, 0.5), ([], 0.7)), 1, "one score for each"),
        (ranked((0, 0.5), (1, "high")), 1, "one score for each"),
        (ranked((0, 0.5), (1, None)), 1, "one finite score for each"),
        (ranked((0, [0.5]), (1, [0.7])), 1, "one finite score for each"),
    ],
)
async def test_it_is_unavailable_for_a_reason(how: dict[str, Any], tries: int, reason: str) -> None:
    async with FakeLLM() as server, connected(server, seconds=0.2 if "hang" in how else 5) as reranker:
        with server.failing(**how), pytest.raises(Unavailable, match=reason):
            await reranker.scores("lamp", ["lamp", "moon"])
    assert len(server.requests) == tries


async def test_texts_that_the_model_does_not_take_are_the_callers() -> None:
    async with FakeLLM() as server, connected(server) as reranker:
        with server.failing(status=413), pytest.raises(Invalid, match="too long"):
            await reranker.scores("lamp", ["lamp " * 9000])
