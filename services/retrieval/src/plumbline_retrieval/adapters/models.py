"""The models that retrieval asks: a text encoder and, where one is set, a reranker."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Unavailable
from plumbline_kit.settings import SettingsError
from plumbline_kit.telemetry import meter, names
from plumbline_models import Encoder, RememberingEncoder, ThreadedEncoder
from plumbline_models.cross_encoder import CrossEncoder
from plumbline_retrieval.adapters.embedding_endpoint import EndpointEncoder
from plumbline_retrieval.adapters.reranking import CrossEncoderReranker, EndpointReranker, TokenInteraction
from plumbline_retrieval.domain.chunking import Cutting
from plumbline_retrieval.ports import PassageEncoder, QueryEncoder, Reranker
from plumbline_retrieval.settings import IndexSettings, RerankerKind, Settings

log = structlog.get_logger()

FRAME_TOKENS: Final = 2


@dataclass(frozen=True)
class Models:
    """Open models."""

    passages: PassageEncoder
    queries: QueryEncoder
    cutting: Cutting
    """Documents are cut by the local encoder's tokens, whoever encodes them."""
    reranker: Reranker | None = None
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    tokens_of: str = ""
    """The local encoder."""
    most_tokens: int | None = None
    """Of a passage that are encoded; None where that is not known."""


async def open_all_models(settings: Settings, clock: Clock) -> list[Models]:
    """Those of the first index and of the candidate; without the latter's where they cannot be opened.

    Raises as `open_models` does for the first.
    """
    first = await open_models(settings, settings.index, clock)
    if settings.candidate is None:
        return [first]
    try:
        return [first, await _beside(first, settings, settings.candidate, clock)]
    except (FileNotFoundError, ValueError, Unavailable, SettingsError) as error:
        log.error("candidate_not_opened", reason=str(error))
        return [first]


async def _beside(first: Models, settings: Settings, index: IndexSettings, clock: Clock) -> Models:
    same = replace(index, passage_tokens=settings.index.passage_tokens, server=settings.index.server)
    if same != settings.index:
        return await open_models(settings, index, clock)
    return replace(first, cutting=replace(first.cutting, budget=_budget(index, first)), closing=())


def _budget(index: IndexSettings, models: Models) -> int:
    most = models.most_tokens
    if most is not None and index.passage_tokens > most:
        raise SettingsError(f"PASSAGE_TOKENS is {index.passage_tokens}, and the encoder sees {most} of a passage")
    return index.passage_tokens


async def open_models(settings: Settings, index: IndexSettings, clock: Clock) -> Models:
    """Raises `FileNotFoundError` or `ValueError` for a folder, `SettingsError`, `Unavailable` for an endpoint."""
    with_tokens = settings.reranker.kind is RerankerKind.TOKEN_INTERACTION
    encoder = Encoder.load(index.encoder_dir, with_tokens=with_tokens)
    reranker = _reranker(settings, encoder, clock)
    closing = (reranker.aclose,) if reranker else ()
    cutting, endpoint = Cutting(encoder.offsets, index.passage_tokens), index.embedding
    if endpoint.base_url:
        remote = await EndpointEncoder.open(
            endpoint.base_url,
            endpoint.model,
            endpoint.api_key,
            clock=clock,
            revision=index.embedding_revision,
        )
        return Models(remote, remote, cutting, reranker, (remote.aclose, *closing), tokens_of=encoder.id)
    encoded = meter().create_counter(names.ENCODED_QUESTIONS, description="questions whose vector was asked for")
    passages = ThreadedEncoder(encoder, workers=settings.index_workers)
    queries = RememberingEncoder(
        ThreadedEncoder(encoder),
        most_bytes=settings.encoder_memo_bytes,
        told=lambda known: encoded.add(1, {names.REMEMBERED: known}),
    )
    closing = (passages.aclose, queries.aclose, *closing)
    models = Models(passages, queries, cutting, reranker, closing, encoder.id, encoder.max_tokens - FRAME_TOKENS)
    _budget(index, models)
    return models


def _reranker(
    settings: Settings, encoder: Encoder, clock: Clock
) -> TokenInteraction | CrossEncoderReranker | EndpointReranker | None:
    chosen = settings.reranker
    match chosen.kind:
        case RerankerKind.TOKEN_INTERACTION:
            return TokenInteraction(encoder, workers=chosen.workers)
        case RerankerKind.CROSS_ENCODER:
            return CrossEncoderReranker(CrossEncoder.load(chosen.directory), workers=chosen.workers)
        case RerankerKind.ENDPOINT:
            endpoint = chosen.endpoint
            return EndpointReranker(endpoint.base_url, endpoint.model, endpoint.api_key, clock=clock)
        case RerankerKind.NONE:
            return None
