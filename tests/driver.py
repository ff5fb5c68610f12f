"""Plumbline as its users see it: what tests and benchmarks that cross services say to it."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import grpc
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.evaluation.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_kit.rpc import open_channel

IDEMPOTENT = (
    "plumbline.retrieval.v1.RetrievalService/SubmitDocument",  # a second version of the same text harms nobody
    "plumbline.retrieval.v1.RetrievalService/WaitForDocument",
    "plumbline.retrieval.v1.RetrievalService/SearchPassages",
    "plumbline.evaluation.v1.EvaluationService/GetEvaluation",
)


@dataclass(frozen=True)
class Driver:
    """One caller with one token. *address* says where a service listens."""

    address: Callable[[str], str]
    token: str

    def channel(self, service: str) -> grpc.aio.Channel:
        """A channel of its own to *service*."""
        return open_channel(self.address(service), token=self.token, idempotent=IDEMPOTENT)

    @cached_property
    def gateway(self) -> GatewayServiceStub:
        """The front door for questions."""
        return GatewayServiceStub(self.channel("gateway"))

    @cached_property
    def retrieval(self) -> RetrievalServiceStub:
        """The front door for documents."""
        return RetrievalServiceStub(self.channel("retrieval"))

    @cached_property
    def cache(self) -> CacheServiceStub:
        """The cache."""
        return CacheServiceStub(self.channel("cache"))

    @cached_property
    def evaluation(self) -> EvaluationServiceStub:
        """Evaluations."""
        return EvaluationServiceStub(self.channel("evaluation"))

    async def ask(
        self,
        question: str,
        freshness: gateway_pb.Freshness = gateway_pb.FRESHNESS_UNSPECIFIED,
        timeout: float = 30,
        turns: Sequence[common_pb.Turn] = (),
    ) -> gateway_pb.AskCompleted:
        """The completed answer to *question*, asked after *turns*."""
        request = gateway_pb.AskRequest(question=question, freshness=freshness, turns=turns)
        async for reply in self.gateway.Ask(request, timeout=timeout):
            if reply.HasField("completed"):
                return reply.completed
        raise AssertionError("the stream ended without a completed answer")

    async def submit(self, document_id: str, title: str, text: str, timeout: float = 15) -> int:
        """The accepted version of a document."""
        document = retrieval_pb.Document(document_id=document_id, title=title, text=text)
        request = retrieval_pb.SubmitDocumentRequest(document=document)
        return (await self.retrieval.SubmitDocument(request, timeout=timeout)).version

    async def wait(self, document_id: str, version: int, timeout: float = 30) -> retrieval_pb.DocumentStatus:
        """The document's status once the index has reached *version*."""
        request = retrieval_pb.WaitForDocumentRequest(document_id=document_id, version=version)
        return (await self.retrieval.WaitForDocument(request, timeout=timeout)).status

    async def submit_and_wait(self, document_id: str, title: str, text: str) -> int:
        """Submit a document and return its version once it is searchable."""
        version = await self.submit(document_id, title, text)
        await self.wait(document_id, version)
        return version

    async def index_is_whole(self) -> bool:
        """Whether a new index has read the whole corpus; until then retrieval answers UNAVAILABLE."""
        try:
            await self.retrieval.SearchPassages(retrieval_pb.SearchPassagesRequest(query="anything"), timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True

    async def cache_stats(self) -> cache_pb.GetStatsResponse:
        """The tenant's cache counts."""
        return await self.cache.GetStats(cache_pb.GetStatsRequest(), timeout=5)

    async def evaluation_of(self, answer_id: str) -> evaluation_pb.Evaluation | None:
        """The stored evaluation of an answer, or None while there is none, or nobody to ask."""
        request = evaluation_pb.GetEvaluationRequest(answer_id=answer_id)
        try:
            return (await self.evaluation.GetEvaluation(request, timeout=5)).evaluation
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                return None
            raise


def read_all(bootstrap_servers: str, topic: str) -> list[tuple[str, bytes]]:
    """Key and body of every committed record that *topic* holds now."""
    settings = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": f"test-{uuid.uuid4()}",
        "isolation.level": "read_committed",
    }
    consumer = Consumer(settings | {"enable.auto.commit": False, "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    records, ended = [], set()
    while len(ended) < len(partitions):
        for message in consumer.consume(1000, timeout=1):
            if message.error() is None:
                records.append((message.key().decode(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    return records
