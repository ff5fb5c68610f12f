"""The models that retrieval asks: a text encoder and, where one is set, a reranker."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from plumbline_kit.clock import Clock
from plumbline_models import BatchingEncoder, Encoder
from plumbline_models.cross_encoder import CrossEncoder
from plumbline_retrieval.adapters.embedding_endpoint import EndpointEncoder
from plumbline_retrieval.adapters.reranking import CrossEncoderReranker, EndpointReranker, TokenInteraction
from plumbline_retrieval.domain.chunking import Cutting
from plumbline_retrieval.ports import PassageEncoder, QueryEncoder, Reranker
from plumbline_retrieval.settings import IndexSettings, RerankerKind, Settings


@dataclass(frozen=True)
class Models:
    """Open models."""

    passages: PassageEncoder
    queries: QueryEncoder
    cutting: Cutting
    """Documents are cut by the local encoder's tokens, whoever encodes them."""
    reranker: Reranker | None = None
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()


async def open_models(settings: Settings, index: IndexSettings, clock: Clock) -> Models:
    """Raises `FileNotFoundError` or `ValueError` for a folder, `Unavailable` for an endpoint."""
    with_tokens = settings.reranker.kind is RerankerKind.TOKEN_INTERACTION
    encoder = Encoder.load(index.encoder_dir, with_tokens=with_tokens)
    cutting = Cutting(encoder.offsets, index.passage_tokens)
    reranker = _reranker(settings, encoder, clock)
    closing = (reranker.aclose,) if reranker else ()
    endpoint = index.embedding
    if endpoint.base_url:
        remote = await EndpointEncoder.open(
            endpoint.base_url,
            endpoint.model,
            endpoint.api_key,
            clock=clock,
            revision=index.embedding_revision,
        )
        return Models(remote, remote, cutting, reranker, (remote.aclose, *closing))
    passages, queries = BatchingEncoder(encoder, workers=settings.index_workers), BatchingEncoder(encoder)
    return Models(passages, queries, cutting, reranker, (passages.aclose, queries.aclose, *closing))


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
