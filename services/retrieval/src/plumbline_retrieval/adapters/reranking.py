"""`Reranker` in three ways: token by token, by a model that reads both texts at once, on a server."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from plumbline_kit.bus import Backoff
from plumbline_kit.clock import Clock
from plumbline_models.cross_encoder import sigmoid
from plumbline_retrieval.adapters.embedding_endpoint import QUERY_SECONDS, Endpoint
from plumbline_retrieval.ports import Vector


class TokenEncoder(Protocol):
    """What `TokenInteraction` compares with: `plumbline_models.Encoder` loaded `with_tokens`."""

    def token_vectors(self, text: str) -> Vector:
        """A unit row a token, shape (tokens, dimensions); called from several threads."""
        ...


class PairScorer(Protocol):
    """What `CrossEncoderReranker` asks: `plumbline_models.cross_encoder.CrossEncoder`."""

    def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """In [0, 1], one a text; called from several threads."""
        ...


class _Threaded(ABC):
    """A reranker that computes here, in threads of its own so that the event loop goes on."""

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reranker")

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers, in [0, 1], in their order."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._scores, question, texts)

    async def aclose(self) -> None:
        """Finish what was begun, then refuse more with `RuntimeError`."""
        await asyncio.to_thread(self._threads.shutdown)

    @abstractmethod
    def _scores(self, question: str, texts: Sequence[str]) -> Sequence[float]: ...


class TokenInteraction(_Threaded):
    """Late interaction, as in ColBERT (Khattab and Zaharia, 2020): needs no model but the encoder.

    A text's score is MaxSim over the number of the question's tokens: the mean, over these, of the best cosine with
    a token of the text. What is below 0 becomes 0, which no text in real words comes to. A question or a text
    without tokens scores 0.
    """

    def __init__(self, encoder: TokenEncoder, *, workers: int = 1) -> None:
        """*workers* is how many searches are looked at again at once; others wait."""
        super().__init__(workers)
        self._encoder = encoder

    def _scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        asked = self._encoder.token_vectors(question)
        return [_max_sim(asked, self._encoder.token_vectors(text)) for text in texts]


class CrossEncoderReranker(_Threaded):
    """A model that reads the question and a text together."""

    def __init__(self, scorer: PairScorer, *, workers: int = 1) -> None:
        """*workers* is how many searches are looked at again at once; others wait."""
        super().__init__(workers)
        self._scorer = scorer

    def _scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        return self._scorer.scores(question, texts)


class EndpointReranker:
    """A model behind `/v1/rerank`, as llama.cpp and vLLM serve it."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str = "",
        *,
        clock: Clock,
        backoff: Backoff | None = None,
        seconds: float = QUERY_SECONDS,
    ) -> None:
        """*base_url* ends in "/v1"; an answer may take *seconds*, with all tries. Asks nothing yet."""
        self._endpoint = Endpoint("the reranking endpoint", base_url, api_key, clock=clock, backoff=backoff)
        self._model = model
        self._seconds = seconds

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers, in [0, 1], in their order.

        Where any score of an answer is outside [0, 1] they are logits, and each of that answer becomes its sigmoid.
        Raises `Unavailable`, or `Invalid` where the model does not take the question or one of the texts.
        """
        if not texts:
            return []
        body = {"model": self._model, "query": question, "documents": list(texts)}
        answer = await self._endpoint.post("rerank", body, seconds=self._seconds)
        scores = self._in_order(answer, len(texts))
        within = scores.min() >= 0 and scores.max() <= 1
        return [float(score) for score in (scores if within else sigmoid(scores))]

    async def aclose(self) -> None:
        """Close its connections."""
        await self._endpoint.aclose()

    def _in_order(self, answer: Any, texts: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        try:
            found = {result["index"]: result["relevance_score"] for result in answer["results"]}
            scores = np.array([found[number] for number in range(texts)], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._endpoint.broken(f"did not answer with one score for each of {texts} texts") from error
        if len(answer["results"]) != texts or scores.ndim != 1 or not np.isfinite(scores).all():
            raise self._endpoint.broken(f"did not answer with one finite score for each of {texts} texts")
        return scores


def _max_sim(question: Vector, text: Vector) -> float:
    if not len(question) or not len(text):
        return 0.0
    return float(np.clip((question @ text.T).max(axis=1).mean(), 0, 1))
