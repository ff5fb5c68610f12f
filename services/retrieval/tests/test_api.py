"""The contract over a real channel, with an indexer behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from plumbline.common.v1 import answer_pb2 as common
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import (
    RetrievalServiceStub,
    add_RetrievalServiceServicer_to_server,
)
from plumbline_contracts.topics import DOCUMENT_SUBMITTED
from plumbline_kit.bus import MemoryBus
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.telemetry import names
from plumbline_kit.testing import eventually, make_verifier, test_settings, token
from plumbline_retrieval.adapters.memory import MemoryIndex, WordEncoder, word_offsets
from plumbline_retrieval.api import SCOPES
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.wiring import Parts

Make = Callable[..., Any]

LAMP = "The lamp costs 12 euros."


class Log(MemoryBus):
    """A bus that can be away."""

    away = False

    async def publish(self, *arguments: Any, **fields: Any) -> Any:
        if self.away:
            raise Unavailable("the event log does not acknowledge")
        return await super().publish(*arguments, **fields)


@dataclass
class Caller:
    """One token on one channel."""

    stub: RetrievalServiceStub
    token: str

    async def call(self, method: str, timeout: float = 10, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        metadata = (("authorization", f"Bearer {self.token}"),)
        return await getattr(self.stub, method)(request, metadata=metadata, timeout=timeout)

    async def submit(self, text: str = LAMP, document_id: str = "lamp", **fields: Any) -> int:
        document = pb.Document(document_id=document_id, title="Lamp", text=text, **fields)
        return int((await self.call("SubmitDocument", document=document)).version)

    async def wait(self, version: int, document_id: str = "lamp", timeout: float = 10) -> pb.DocumentStatus:
        response = await self.call("WaitForDocument", timeout, document_id=document_id, version=version)
        return response.status

    async def search(self, query: str = "What does the lamp cost?", **fields: Any) -> list[common.Passage]:
        return list((await self.call("SearchPassages", query=query, **fields)).passages)

    async def verify(self, *sources: common.PassageRef) -> list[common.PassageRef]:
        return list((await self.call("VerifySources", sources=sources)).changed_sources)

    async def refused(self, method: str, **fields: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await self.call(method, **fields)
        return refusal.value


@dataclass
class Served:
    """Retrieval behind a port."""

    channel: grpc.aio.Channel
    log: Log
    readiness: Readiness

    def caller(self, **claims: Any) -> Caller:
        return Caller(RetrievalServiceStub(self.channel), token(**claims))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    log, encoder, readiness = Log(), WordEncoder(), Readiness(complete=True)
    parts = Parts(
        MemoryIndex(),
        passages=encoder,
        queries=encoder,
        offsets=word_offsets,
        publisher=log,
        clock=SystemClock(),
        readiness=readiness,
    )
    consumer = log.consumer("retrieval-test", [parts.events.subscription()])
    indexing = asyncio.create_task(consumer.run())
    server = Server(test_settings("retrieval"), make_verifier(), scopes=SCOPES)
    add_RetrievalServiceServicer_to_server(parts.api, server.grpc)
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        yield Served(channel, log, readiness)
    await server.stop(1)
    await consumer.stop()
    await indexing


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that the refusal names."""
    [content] = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    fields = []
    for detail in status_pb2.Status.FromString(content).details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
    return fields


async def test_a_submitted_document_is_found_once_waiting_for_it_ends(served: Served) -> None:
    anna = served.caller()
    version = await anna.submit(url="https://shop/lamp")
    status = await anna.wait(version)
    assert (status.document_id, status.version, status.state) == ("lamp", version, pb.DOCUMENT_STATE_LIVE)
    assert (status.title, status.passage_count, status.reason) == ("Lamp", 1, "")
    assert status.index_time.seconds > 0
    [passage] = await anna.search()
    assert (passage.text, passage.title, passage.url) == (LAMP, "Lamp", "https://shop/lamp")
    assert (passage.start_offset, passage.end_offset) == (0, len(LAMP))
    assert (passage.ref.document_id, passage.ref.version, len(passage.ref.passage_hash)) == ("lamp", version, 64)
    assert 0 < passage.score <= 1


async def test_a_changed_document_shows_its_new_version_only(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit())
    [old] = await anna.search()
    assert await anna.verify(old.ref) == []
    await anna.wait(await anna.submit("The lamp costs 13 euros."))
    [new] = await anna.search()
    assert new.text == "The lamp costs 13 euros."
    assert await anna.verify(new.ref, old.ref) == [old.ref]


async def test_a_deleted_document_is_gone_once_waiting_for_it_ends(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit())
    [found] = await anna.search()
    version = (await anna.call("DeleteDocument", document_id="lamp")).version
    assert (await anna.wait(version)).state == pb.DOCUMENT_STATE_DELETED
    assert await anna.search() == []
    assert await anna.verify(found.ref) == [found.ref]
    assert (await anna.refused("DeleteDocument", document_id="lamp")).code() is grpc.StatusCode.NOT_FOUND
    assert (await anna.call("GetDocument", document_id="lamp")).status.state == pb.DOCUMENT_STATE_DELETED


async def test_waiting_ends_with_the_deadline(served: Served) -> None:
    error = await served.caller().refused("WaitForDocument", timeout=0.3, document_id="lamp", version=1)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_nothing_is_known_of_a_document_that_never_was(served: Served) -> None:
    for method in ("GetDocument", "DeleteDocument"):
        assert (await served.caller().refused(method, document_id="lamp")).code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({}, ["document.document_id", "document.text"], id="nothing"),
        pytest.param({"document_id": "/lamp", "text": "x"}, ["document.document_id"], id="slash"),
        pytest.param({"document_id": "lamp", "text": " "}, ["document.text"], id="blank"),
        pytest.param({"document_id": "lamp", "text": "x" * 1_000_001}, ["document.text"], id="oversized"),
        pytest.param({"document_id": "lamp", "text": "x\0"}, ["document.text"], id="nul"),
        pytest.param({"document_id": "lamp", "text": "x", "groups": ["*"]}, ["document.groups"], id="reserved_group"),
    ],
)
async def test_a_wrong_document_is_refused_and_nothing_is_published(
    served: Served, fields: dict[str, Any], named: list[str]
) -> None:
    error = await served.caller().refused("SubmitDocument", document=pb.Document(**fields))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == named
    assert served.log.raw_records(DOCUMENT_SUBMITTED.name) == []


async def test_the_largest_document_is_accepted_and_indexed(served: Served) -> None:
    anna = served.caller()
    text = ("word " * 200_000)[:1_000_000].strip()
    status = await anna.wait(await anna.submit(text), timeout=60)
    assert status.state == pb.DOCUMENT_STATE_LIVE
    assert status.passage_count > 1


async def test_while_the_log_is_away_nothing_is_accepted_and_searches_go_on(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit())
    served.log.away = True
    document = pb.Document(document_id="desk", text="A desk.")
    assert (await anna.refused("SubmitDocument", document=document)).code() is grpc.StatusCode.UNAVAILABLE
    assert (await anna.refused("DeleteDocument", document_id="lamp")).code() is grpc.StatusCode.UNAVAILABLE
    assert len(await anna.search()) == 1
    assert len(served.log.raw_records(DOCUMENT_SUBMITTED.name)) == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"query": ""}, "query", id="empty"),
        pytest.param({"query": "x" * 8_001}, "query", id="oversized"),
        pytest.param({"query": "x", "page_size": 101}, "page_size", id="large_page"),
        pytest.param({"query": "x", "page_size": -1}, "page_size", id="negative_page"),
        pytest.param(
            {"query": "x", "embedding": common.Embedding(encoder_id="other@1", values=[1.0] * 64)},
            "embedding.encoder_id",
            id="other_encoder",
        ),
        pytest.param(
            {"query": "x", "embedding": common.Embedding(encoder_id="words@1", values=[1.0] * 3)},
            "embedding.values",
            id="short_vector",
        ),
    ],
)
async def test_a_wrong_query_is_refused(served: Served, fields: dict[str, Any], named: str) -> None:
    error = await served.caller().refused("SearchPassages", **fields)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == [named]


async def test_a_given_vector_decides_what_is_near(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit())
    await anna.wait(await anna.submit("A desk of oak.", "desk"), "desk")
    values = (await WordEncoder().encode_one("desk oak")).tolist()
    embedding = common.Embedding(encoder_id="words@1", values=values)
    assert (await anna.search("zzz", embedding=embedding))[0].ref.document_id == "desk"


async def test_eight_passages_come_unless_asked_otherwise(served: Served) -> None:
    anna = served.caller()
    for number in range(12):
        await anna.wait(await anna.submit(f"Lamp {number}.", f"lamp-{number}"), f"lamp-{number}")
    assert len(await anna.search("lamp")) == 8
    assert len(await anna.search("lamp", page_size=100)) == 12


async def test_an_index_that_is_rebuilt_sends_callers_away_for_now(served: Served) -> None:
    served.readiness.complete = False
    assert (await served.caller().refused("SearchPassages", query="x")).code() is grpc.StatusCode.UNAVAILABLE


async def test_tenants_and_groups_do_not_see_each_other(served: Served) -> None:
    anna, sam, gus = served.caller(), served.caller(groups=["sales"]), served.caller(tenant="globex", groups=["sales"])
    version = await sam.submit("The secret of acme's sales.", groups=["sales"])
    await sam.wait(version)
    [secret] = await sam.search("secret")
    for stranger in (anna, gus):
        assert await stranger.search("secret") == []
        assert await stranger.verify(secret.ref) == [secret.ref]
        assert (await stranger.refused("GetDocument", document_id="lamp")).code() is grpc.StatusCode.NOT_FOUND
    assert (await anna.wait(version)).title == ""
    assert (await gus.refused("DeleteDocument", document_id="lamp")).code() is grpc.StatusCode.NOT_FOUND
    assert (await gus.refused("WaitForDocument", timeout=0.2, document_id="lamp", version=version)).code() is (
        grpc.StatusCode.DEADLINE_EXCEEDED
    )


async def test_a_document_can_be_followed_through_one_trace(served: Served, spans: Make) -> None:
    anna = served.caller()
    version = await anna.submit()
    await anna.wait(version)
    await eventually(lambda: [span for span in spans() if span.name.startswith("send plumbline.retrieval.document-c")])
    named = [span for span in spans() if (span.attributes or {}).get(names.DOCUMENT_ID) == "lamp"]
    assert {span.attributes[names.TENANT_ID] for span in named} == {"acme"}
    assert {span.attributes[names.DOCUMENT_VERSION] for span in named} == {version}
    submitted, indexed = (
        next(span for span in named if part in span.name) for part in ("SubmitDocument", "document-submitted")
    )
    assert submitted.context.trace_id == indexed.context.trace_id


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ("ask", {"SearchPassages", "VerifySources"}),
        ("documents.read", {"GetDocument", "WaitForDocument", "SearchPassages", "VerifySources"}),
        ("documents.write", {"SubmitDocument", "DeleteDocument", "GetDocument", "WaitForDocument"}),
        ("cache.read", set()),
    ],
)
async def test_each_scope_opens_its_rpcs_only(served: Served, scopes: str, allowed: set[str]) -> None:
    caller, opened = served.caller(scopes=scopes), set()
    for method in (name.rsplit("/", 1)[1] for name in SCOPES):
        try:
            await caller.call(method, timeout=0.3)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                continue
        opened.add(method)
    assert opened == allowed
