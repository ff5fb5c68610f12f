"""`PassageSearch` on the retrieval service."""

from collections.abc import Sequence

import grpc

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_gateway.domain import Embedding, Passage, PassageRef
from plumbline_gateway.translation import passage_from_proto, ref_to_proto
from plumbline_kit.rpc import translate

IDEMPOTENT = (
    "plumbline.retrieval.v1.RetrievalService/SearchPassages",
    "plumbline.retrieval.v1.RetrievalService/VerifySources",
)


class GrpcPassageSearch:
    """Searches and verifies over one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = RetrievalServiceStub(channel)

    async def search(self, wordings: Sequence[str], limit: int, embedding: Embedding | None) -> tuple[Passage, ...]:
        """See `PassageSearch`."""
        request = pb.SearchPassagesRequest(
            query=wordings[0], more_queries=wordings[1:], page_size=limit, embedding=_to_proto(embedding)
        )
        try:
            response = await self._stub.SearchPassages(request)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        return tuple(map(passage_from_proto, response.passages))

    async def all_current(self, sources: Sequence[PassageRef]) -> bool:
        """See `PassageSearch`."""
        request = pb.VerifySourcesRequest(sources=map(ref_to_proto, sources))
        try:
            response = await self._stub.VerifySources(request)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        return not response.changed_sources


def _to_proto(embedding: Embedding | None) -> common_pb.Embedding | None:
    if embedding is None:
        return None
    return common_pb.Embedding(encoder_id=embedding.encoder_id, values=embedding.values)
