"""The index on a Qdrant server, without one.

The contract suite runs on what the client has for a stand-in: its own imitation of the engine, in this process. That
checks what the adapter asks and how it reads the answers, not the engine: no gRPC, no graph, no index of a field, no
quantisation, no second process. A small server that writes down what it is sent shows what goes over the wire. The
suite on the engine itself is that of `contract`, with QDRANT_URL set.
"""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import grpc as wire
from structlog.testing import capture_logs

from plumbline_kit.errors import Unavailable
from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters import server
from plumbline_retrieval.adapters.memory import WordEncoder
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.adapters.server import ServerIndex
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Passage, PassageRef
from plumbline_retrieval.domain.head import Head, Live, State
from plumbline_retrieval.domain.likeness import sketch
from plumbline_retrieval.domain.query import Filter, Scope
from plumbline_retrieval.domain.source import Source
from services.retrieval.tests.contract.test_index import *  # noqa: F403  # the whole suite, on the index below

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),  # it filters without
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),  # the graph and quantisation are the server's
]

KEY = DocumentKey("acme", "lamp")
LONG_SKETCH = sketch("word " * 30)
HEAD = Head(KEY, 1, State.LIVE, datetime(2026, 3, 1, tzinfo=UTC), Live(1))
LAMP = Document("lamp", "Lamp", "costs 12")
PASSAGE = Passage(0, 0, 8, "costs 12")
ID = "6f0e2f3c-0000-5000-8000-000000000000"
VECTOR = np.ones(4, np.float32) / 2
FOUND = Found(PassageRef("lamp", 1, PASSAGE.hash), "Lamp", "", PASSAGE, "default", HEAD.time)

Call = Callable[[ServerIndex], Awaitable[Any]]

READS: dict[str, Call] = {
    "heads": lambda index: index.heads([KEY]),
    "list_heads": lambda index: index.list_heads("acme", [], "", 5, ""),
    "same_text": lambda index: index.same_text("acme", [], "hash"),
    "near_text": lambda index: index.near_text("acme", [], Live(1, sketch=LONG_SKETCH)),
    "sources": lambda index: index.sources("acme"),
    "vectors": lambda index: index.vectors(KEY, 1),
    "ranked": lambda index: index.ranked(Scope("acme"), "lamp", VECTOR),
    "read": lambda index: index.read("acme", [ID]),
    "vectors_of": lambda index: index.vectors_of([ID]),
    "around": lambda index: index.around("acme", [FOUND], 1),
}
WRITES: dict[str, Call] = {
    "put_head": lambda index: index.put_head(HEAD),
    "put_source": lambda index: index.put_source("acme", Source("wiki")),
    "confirm_source": lambda index: index.confirm_source("acme", "wiki", HEAD.time),
    "stage": lambda index: index.stage(KEY, 1, LAMP, [PASSAGE], VECTOR[None], HEAD.time),
    "remove_others": lambda index: index.remove_others(KEY, 1),
}
EVERY = {**READS, **WRITES, "prepare": lambda index: index.prepare(4)}


def named(calls: dict[str, Call]) -> list[Any]:
    return [pytest.param(call, id=name) for name, call in calls.items()]


@pytest.fixture
async def index() -> AsyncIterator[ServerIndex]:
    """Takes the place of the `index` that the suite runs on elsewhere."""
    index = ServerIndex(AsyncQdrantClient(":memory:"), "test")
    await index.prepare(WordEncoder.dimensions)
    yield index
    await index.aclose()


class Wire(grpc.GenericRpcHandler):
    """A server that keeps what it is sent and gives the answers that were laid ready, then empty ones."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, float]] = []
        self.ready: dict[str, list[Any]] = {
            "Qdrant/HealthCheck": [wire.HealthCheckReply(version="1.19.0")],
            "Collections/Get": [collection(4)],
        }
        self.status = wire.UpdateStatus.Completed

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        rpc = str(details.method).removeprefix("/qdrant.")

        async def answer(request: bytes, context: Any) -> bytes:
            self.sent.append((rpc, request, context.time_remaining()))
            ready = self.ready.get(rpc, [])
            reply = ready.pop(0) if len(ready) > 1 else (ready or [self._empty(rpc)])[0]
            if isinstance(reply, grpc.StatusCode):
                await context.abort(reply, "said no")
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)

    def requests(self, rpc: str, kind: Any) -> list[Any]:
        return [kind.FromString(request) for name, request, _ in self.sent if name == rpc]

    def _empty(self, rpc: str) -> Any:
        if rpc in ("Points/Upsert", "Points/Delete", "Points/CreateFieldIndex"):
            return wire.PointsOperationResponse(result=wire.UpdateResult(status=self.status))
        if rpc == "Points/QueryBatch":
            return wire.QueryBatchResponse(result=[wire.BatchResult(), wire.BatchResult()])
        return wire.GetResponse()  # nothing, for every kind of answer


def collection(dimensions: int, *fields: str) -> wire.GetCollectionInfoResponse:
    dense = wire.VectorParams(size=dimensions, distance=wire.Distance.Cosine)
    vectors = wire.VectorsConfig(params_map=wire.VectorParamsMap(map={server.DENSE: dense}))
    config = wire.CollectionConfig(
        params=wire.CollectionParams(vectors_config=vectors, shard_number=1),
        hnsw_config=wire.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
        optimizer_config=wire.OptimizersConfigDiff(
            deleted_threshold=0.2, vacuum_min_vector_number=1_000, default_segment_number=0, flush_interval_sec=5
        ),
        wal_config=wire.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
    )
    known = {field: wire.PayloadSchemaInfo(data_type=wire.PayloadSchemaType.Keyword) for field in fields}
    green = wire.CollectionStatus.Green
    return wire.GetCollectionInfoResponse(result=wire.CollectionInfo(status=green, config=config, payload_schema=known))


def exists(*answers: bool) -> list[wire.CollectionExistsResponse]:
    return [wire.CollectionExistsResponse(result=wire.CollectionExists(exists=each)) for each in answers]


@pytest.fixture
async def over() -> AsyncIterator[tuple[ServerIndex, Wire]]:
    """An index and the server that it speaks to."""
    listener, written = grpc.aio.server(), Wire()
    listener.add_generic_rpc_handlers([written])
    port = listener.add_insecure_port("127.0.0.1:0")
    await listener.start()
    index = ServerIndex(server.connect(f"http://127.0.0.1:{port}"), "g1")
    yield index, written
    await index.aclose()
    await listener.stop(None)


async def test_words_weigh_what_they_weigh_in_the_engine_of_this_process(
    index: ServerIndex, tmp_path: Path, vector: Callable[..., Any]
) -> None:
    engine = QdrantIndex.open(tmp_path / "index", WordEncoder.dimensions)
    texts = {"acme": ["grey lamp", "grey desk", "lamp of grey linen"], "globex": ["lamp", "lamp", "grey"]}
    for each in (index, engine):
        for tenant, pieces in texts.items():
            passages = [Passage(number, 0, 1, text) for number, text in enumerate(pieces)]
            vectors = np.stack([vector(1)] * len(pieces))
            await each.stage(DocumentKey(tenant, "lamp"), 1, LAMP, passages, vectors, HEAD.time)
    for tenant in texts:
        [ours, theirs] = [await each.ranked(Scope(tenant), "grey lamp", vector(1)) for each in (index, engine)]
        assert dict(ours.sparse) == pytest.approx(
            {str(UUID(int=name)): score for name, score in theirs.sparse}, abs=1e-5
        )
        dense = {str(UUID(int=name)): score for name, score in theirs.dense}  # kept there in 8 bits a number
        assert dict(ours.dense) == pytest.approx(dense, abs=2e-3)
    engine.close()


@pytest.mark.parametrize("call", named(EVERY))
async def test_a_server_that_is_away_is_unavailable_at_once_and_its_address_is_not_told(call: Call) -> None:
    with socket.socket() as closed:  # bound and never listened on, so that nobody else can take it
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        index = ServerIndex(server.connect(f"http://127.0.0.1:{port}"), "g1")
        began = time.monotonic()
        with pytest.raises(Unavailable) as failure:
            await call(index)
        assert time.monotonic() - began < server.QUERY_SECONDS
        assert (str(failure.value), failure.value.retry_after) == ("the index cannot be used", 5.0)
        await index.aclose()


async def test_opening_an_index_on_a_server_that_is_away_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable):
            await ServerIndex.open(f"http://127.0.0.1:{closed.getsockname()[1]}", generation="g1", dimensions=4)


async def test_a_server_that_does_not_answer_is_unavailable_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "QUERY_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        index = ServerIndex(server.connect(f"http://127.0.0.1:{silent.getsockname()[1]}"), "g1")
        with pytest.raises(Unavailable):
            await index.heads([KEY])
        await index.aclose()


@pytest.mark.parametrize("call", named(READS))
async def test_a_query_has_five_seconds(over: tuple[ServerIndex, Wire], call: Call) -> None:
    index, written = over
    await call(index)
    assert all(seconds < server.QUERY_SECONDS + 1 for _, _, seconds in written.sent)


@pytest.mark.parametrize("call", named(WRITES))
async def test_a_write_has_thirty_seconds_and_is_waited_for(over: tuple[ServerIndex, Wire], call: Call) -> None:
    index, written = over
    await call(index)
    [(rpc, request, seconds)] = written.sent
    sent = (wire.UpsertPoints if rpc == "Points/Upsert" else wire.DeletePoints).FromString(request)
    assert (sent.wait, sent.timeout) == (True, server.WRITE_SECONDS)
    assert server.QUERY_SECONDS + 1 < seconds < server.WRITE_SECONDS + 1  # it is rounded up on its way


@pytest.mark.parametrize("call", named(WRITES))
@pytest.mark.parametrize("status", [wire.UpdateStatus.Acknowledged, wire.UpdateStatus.WaitTimeout])
async def test_a_write_that_was_taken_and_does_not_show_yet_is_not_taken_for_done(
    over: tuple[ServerIndex, Wire], call: Call, status: Any
) -> None:
    index, written = over
    written.status = status
    with pytest.raises(Unavailable):
        await call(index)


@pytest.mark.parametrize("call", [WRITES["put_head"], WRITES["put_source"], WRITES["confirm_source"]])
async def test_heads_are_written_in_one_order_everywhere(over: tuple[ServerIndex, Wire], call: Call) -> None:
    index, written = over
    await call(index)
    [sent] = written.requests("Points/Upsert", wire.UpsertPoints)
    assert sent.ordering.type == wire.WriteOrderingType.Strong
    assert sent.collection_name == "plumbline-g1-heads"


async def test_both_lists_are_of_one_request_and_rarity_is_of_what_the_caller_may_see(
    over: tuple[ServerIndex, Wire],
) -> None:
    index, written = over
    await index.ranked(Scope("acme", ("ops",), Filter(languages=("de",))), "lamp", VECTOR)
    [(rpc, request, _)] = written.sent
    dense, sparse = wire.QueryBatchPoints.FromString(request).query_points
    assert (rpc, dense.using, sparse.using) == ("Points/QueryBatch", "dense", "sparse")
    assert list(dense.filter.must[0].field.match.keywords.strings) == ["acme/ops", "acme/*"]
    assert dense.filter.must[1].field.match.keyword == "de"
    assert dense.filter == sparse.filter == sparse.params.idf.corpus
    assert not dense.params.HasField("idf")
    assert dense.params.quantization.rescore


async def test_what_is_sent_is_what_comes_back(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    await index.put_head(HEAD)
    [sent] = written.requests("Points/Upsert", wire.UpsertPoints)
    point = wire.RetrievedPoint(id=sent.points[0].id, payload=sent.points[0].payload)
    written.ready["Points/Get"] = [wire.GetResponse(result=[point])]
    assert await index.heads([KEY]) == {KEY: HEAD}


async def test_a_large_document_goes_in_several_requests(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    count = server.STEP + 1
    passages = [Passage(number, 0, 1, f"part {number}") for number in range(count)]
    await index.stage(KEY, 1, LAMP, passages, np.ones((count, 4), np.float32), HEAD.time)
    assert [len(sent.points) for sent in written.requests("Points/Upsert", wire.UpsertPoints)] == [server.STEP, 1]


async def test_collections_are_made_as_they_are_searched(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    await index.prepare(4, shards=3, replicas=2, quantised=True)
    passages, heads = written.requests("Collections/Create", wire.CreateCollection)
    assert (passages.collection_name, heads.collection_name) == ("plumbline-g1-passages", "plumbline-g1-heads")
    assert {(each.shard_number, each.replication_factor) for each in (passages, heads)} == {(3, 2)}
    dense = passages.vectors_config.params_map.map["dense"]
    assert (dense.size, dense.distance) == (4, wire.Distance.Cosine)
    assert dense.quantization_config.scalar.type == wire.QuantizationType.Int8
    assert passages.sparse_vectors_config.map["sparse"].modifier == wire.Modifier.Idf
    assert dict(heads.vectors_config.params_map.map) == {}
    fields = written.requests("Points/CreateFieldIndex", wire.CreateFieldIndexCollection)
    tenants = [each.field_name for each in fields if each.field_index_params.keyword_index_params.is_tenant]
    assert tenants == ["audience"]
    kinds = {each.field_name: each.field_type for each in fields}
    assert (kinds["tags"], kinds["time"]) == (wire.FieldType.FieldTypeKeyword, wire.FieldType.FieldTypeFloat)
    assert len(fields) == len(server.PASSAGE_FIELDS) + len(server.HEAD_FIELDS)


async def test_what_is_there_is_not_made_again(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    written.ready["Collections/CollectionExists"] = exists(True)
    written.ready["Collections/Get"] = [collection(4, *server.PASSAGE_FIELDS, *server.HEAD_FIELDS)]
    await index.prepare(4)
    assert {rpc for rpc, _, _ in written.sent} == {
        "Qdrant/HealthCheck",
        "Collections/CollectionExists",
        "Collections/Get",
    }


async def test_two_processes_may_make_the_collections_at_once(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    written.ready["Collections/CollectionExists"] = exists(False, True, False, True)
    written.ready["Collections/Create"] = [grpc.StatusCode.ALREADY_EXISTS]
    await index.prepare(4)
    assert len(written.requests("Collections/Create", wire.CreateCollection)) == 2


async def test_a_server_that_makes_no_collection_is_unavailable(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    written.ready["Collections/Create"] = [grpc.StatusCode.PERMISSION_DENIED]
    with capture_logs() as logs, pytest.raises(Unavailable, match=r"^the index cannot be used$"):
        await index.prepare(4)
    assert [entry["reason"] for entry in logs] == ["said no"]


@pytest.mark.parametrize("version", ["1.18.2", "0.20.0"])
async def test_a_server_that_would_count_rarity_over_everybody_is_refused(
    over: tuple[ServerIndex, Wire], version: str
) -> None:
    index, written = over
    written.ready["Qdrant/HealthCheck"] = [wire.HealthCheckReply(version=version)]
    with pytest.raises(SettingsError, match=version):
        await index.prepare(4)
    assert written.requests("Collections/Create", wire.CreateCollection) == []


async def test_a_generation_of_another_encoder_is_refused(over: tuple[ServerIndex, Wire]) -> None:
    index, written = over
    written.ready["Collections/CollectionExists"] = exists(True)
    with pytest.raises(SettingsError, match="vectors of 4 numbers and the encoder makes 8"):
        await index.prepare(8)
