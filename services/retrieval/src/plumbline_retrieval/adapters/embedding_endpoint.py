"""`PassageEncoder` and `QueryEncoder` on any server with OpenAI's embeddings API: vLLM, llama.cpp, Ollama, a vendor."""

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import httpx
import numpy as np

from plumbline_kit.bus import Backoff
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, Unavailable
from plumbline_retrieval.ports import Vector

CONNECT_SECONDS: Final = 2.0
TRIES: Final = 3
BATCH: Final = 64
"""Texts in a request."""
PLACES: Final = 2
"""Requests with passages at work at once. Questions do not wait for them."""
QUERY_SECONDS: Final = 5.0
PASSAGE_SECONDS: Final = 60.0
PROBE: Final = "The quick brown fox jumps over the lazy dog."
"""Its vector is a part of the encoder's id, so another text makes every index anew."""
WRONG_KEY: Final = (401, 403)
WRONG_ADDRESS: Final = (404, 501)
"""The second is llama.cpp's, for what it was not started for."""
WRONG_TEXT: Final = (400, 413, 422)
TIMED_OUT: Final = 408
RATE_LIMITED: Final = 429

T = TypeVar("T")


class Transient(Unavailable):
    """A failure that another try may mend."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        """*pause* is how many seconds the server asked to be left alone."""
        super().__init__(message, retry_after=1.0 if pause is None else pause)
        self.pause = pause or 0.0


class Endpoint:
    """An OpenAI-compatible API: JSON in, JSON out, tried again where that may help."""

    def __init__(self, name: str, base_url: str, api_key: str, *, clock: Clock, backoff: Backoff | None = None) -> None:
        """*name* is what errors call it. Proxies named in the environment are not used."""
        self._name = name
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # the seconds of each call bound the rest
            limits=httpx.Limits(keepalive_expiry=60),
            trust_env=False,
        )

    async def post(self, path: str, body: dict[str, Any], *, seconds: float) -> Any:
        """The answer, within *seconds* for all tries and the pauses between them.

        A try has half of *seconds*, so that a lost answer can be asked for again. Raises `Unavailable` where trying
        again did not help or would not, `Invalid` for texts that the server does not take.
        """
        until = self._clock.monotonic() + seconds
        failures = 0
        while True:
            try:
                return await self._try(path, body, min(seconds / 2, until - self._clock.monotonic()))
            except Transient as failed:
                failures += 1
                pause = max(failed.pause, self._backoff.seconds(failures))
                if failures == TRIES or self._clock.monotonic() + pause >= until:
                    raise
            await self._clock.sleep(pause)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    def broken(self, what: str) -> Unavailable:
        """The error for an answer that is none, with *what* is wrong with it."""
        return Unavailable(f"{self._name} {what}")

    async def _try(self, path: str, body: dict[str, Any], seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.post(path, json=body)
        except TimeoutError as error:
            raise Transient(f"{self._name} did not answer within {seconds:.3g} s") from error
        except httpx.HTTPError as error:
            raise Transient(f"{self._name} could not be reached ({type(error).__name__})") from error
        self._check(response)
        try:
            return response.json()
        except ValueError as error:
            raise self.broken("answered with something else than JSON") from error

    def _check(self, response: httpx.Response) -> None:
        """Raise the error that says who must act; what the server says stays here, since it may quote the texts."""
        status = response.status_code
        if status == httpx.codes.OK:
            return
        answered = f"{self._name} answered with status {status}"
        if status in WRONG_KEY:
            raise Unavailable(f"{answered}: it does not take the key that is set for it")
        if status in WRONG_ADDRESS:
            raise Unavailable(f"{answered}: it has no such path or model; check its base URL, model and options")
        if status in WRONG_TEXT:
            raise Invalid(f"{answered}: it does not take this text, which may be too long for its model")
        if status in (TIMED_OUT, RATE_LIMITED) or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Transient(answered, _pause(response.headers.get("retry-after", ""), self._clock.now()))
        raise Unavailable(answered)


class EndpointEncoder:
    """Text vectors from `/v1/embeddings`, known by the name of the model and by what it makes of a text."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        id: str,
        dimensions: int,
        *,
        query_seconds: float = QUERY_SECONDS,
        passage_seconds: float = PASSAGE_SECONDS,
    ) -> None:
        """Use `open`, which learns *id* and *dimensions* from the model."""
        self.id = id
        self.dimensions = dimensions
        self._endpoint = endpoint
        self._model = model
        self._query_seconds = query_seconds
        self._passage_seconds = passage_seconds
        self._places = asyncio.Semaphore(PLACES)

    @classmethod
    async def open(
        cls,
        base_url: str,
        model: str,
        api_key: str = "",
        *,
        clock: Clock,
        revision: str = "",
        backoff: Backoff | None = None,
        query_seconds: float = QUERY_SECONDS,
        passage_seconds: float = PASSAGE_SECONDS,
    ) -> "EndpointEncoder":
        """Ask *model* of the API at *base_url*, which ends in "/v1", for one vector, and take id and size from that.

        The id is "model@digits": the first 8 hex digits of SHA-256 over the base URL, the model's name and *revision*,
        which whoever runs the endpoint raises when another model gets the same name. A vector cannot tell: the same
        model's differ in the last digits from start to start. To be called in the event loop that the encoder serves.
        Raises `Unavailable`, or `Invalid` for a model that refuses the text.
        """
        endpoint = Endpoint("the embedding endpoint", base_url, api_key, clock=clock, backoff=backoff)
        try:
            [probe] = await _embed(endpoint, model, [PROBE], passage_seconds)
        except BaseException:
            await endpoint.aclose()
            raise
        waits = {"query_seconds": query_seconds, "passage_seconds": passage_seconds}
        return cls(endpoint, model, _id(base_url, model, revision), len(probe), **waits)

    async def encode(self, texts: Sequence[str]) -> Vector:
        """One L2-normalised row a text, in their order; shape (len(texts), dimensions).

        Goes in requests of 64 texts, two at once at most over all calls; each of them may take 60 s. Raises
        `Unavailable`, or `Invalid` where the model does not take one of the texts.
        """
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        parts = await _all([self._passages(batch) for batch in batches])
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    async def encode_one(self, text: str) -> Vector:
        """The vector of one text within 5 s, shape (dimensions,), L2-normalised. Raises as `encode` does."""
        [vector] = await self._embed([text], self._query_seconds)
        return np.asarray(vector)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._endpoint.aclose()

    async def _passages(self, texts: Sequence[str]) -> Vector:
        """In halves where the endpoint refuses the whole: it may take fewer texts at once, or not one of them."""
        try:
            async with self._places:
                return await self._embed(texts, self._passage_seconds)
        except Invalid:
            if len(texts) == 1:
                await self._check_that_it_takes_any()
                raise
        half = len(texts) // 2
        return np.concatenate([await self._passages(part) for part in (texts[:half], texts[half:])])

    async def _check_that_it_takes_any(self) -> None:
        """Raise `Unavailable` where even the probe is refused: then the text is not at fault."""
        try:
            async with self._places:
                await self._embed([PROBE], self._passage_seconds)
        except Invalid as error:
            raise self._endpoint.broken("takes no text at all") from error

    async def _embed(self, texts: Sequence[str], seconds: float) -> Vector:
        return await _embed(self._endpoint, self._model, texts, seconds, self.dimensions)


async def _embed(
    endpoint: Endpoint, model: str, texts: Sequence[str], seconds: float, dimensions: int | None = None
) -> Vector:
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    answer = await endpoint.post("embeddings", body, seconds=seconds)
    try:
        rows = {entry["index"]: entry["embedding"] for entry in answer["data"]}
        vectors = np.array([rows[number] for number in range(len(texts))], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise endpoint.broken(f"did not answer with one vector for each of {len(texts)} texts") from error
    if len(answer["data"]) != len(texts) or vectors.ndim != 2:
        raise endpoint.broken(f"did not answer with one vector for each of {len(texts)} texts")
    if dimensions is not None and vectors.shape[1] != dimensions:
        raise endpoint.broken(f"answered with {vectors.shape[1]} dimensions after {dimensions}: its model was changed")
    return _normalised(endpoint, vectors)


def _normalised(endpoint: Endpoint, vectors: np.ndarray[Any, np.dtype[np.float64]]) -> Vector:
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise endpoint.broken("answered with a vector that is not finite, or zero")
    return np.asarray(vectors / norms, np.float32)


def _id(base_url: str, model: str, revision: str) -> str:
    content = "\n".join([base_url, model, revision])
    return f"{model}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _pause(retry_after: str, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for: a number of them, or a date (RFC 9110, 10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one without its zone
        return None


async def _all(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; where one fails, the others are stopped and the error is the first one's."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
