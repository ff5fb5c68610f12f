"""The contract over a real channel, with an indexer behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import psutil
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
from plumbline_retrieval.adapters.memory import MemoryIndex, MemoryMark, WordEncoder, word_offsets
from plumbline_retrieval.adapters.models import Models
from plumbline_retrieval.adapters.reading import SandboxedReader
from plumbline_retrieval.api import SCOPES, RetrievalService
from plumbline_retrieval.domain.chunking import Cutting
from plumbline_retrieval.handlers.generations import Generation, Generations
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.wiring import Held, Parts, Shared

Make = Callable[..., Any]

READS = {"GetDocument", "WaitForDocument", "ListSources"}
WRITES = {"SubmitDocument", "SubmitFile", "DeleteDocument", "PutSource", "ConfirmSource", "RecordFacts"}
FILES = Path(__file__).parent / "adapters/reading/files"
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

    async def send(self, name: str, *parts: bytes, **fields: Any) -> pb.SubmitFileResponse:
        header = pb.FileHeader(document_id=name, file_name=name, **fields)
        requests = (pb.SubmitFileRequest(data=part) for part in parts)
        return await self.upload(chain([pb.SubmitFileRequest(header=header)], requests))

    async def upload(self, requests: Iterable[pb.SubmitFileRequest] = ()) -> pb.SubmitFileResponse:
        metadata = (("authorization", f"Bearer {self.token}"),)
        response: pb.SubmitFileResponse = await self.stub.SubmitFile(iter(requests), metadata=metadata, timeout=60)
        return response

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
    log, encoder, reader = Log(), WordEncoder(), SandboxedReader()
    clock = SystemClock()
    held = Held.of(MemoryIndex(), clock, complete=True)
    models = Models(encoder, encoder, Cutting(word_offsets))
    parts = Parts(held, models, Shared.by([held], reader, log, clock))
    generation = Generation("generation-1", "words", parts.uses, held.readiness, lambda: 0)
    api = RetrievalService(Generations([generation], MemoryMark()), clock)
    parts.registry.completed()
    consumer = log.consumer("retrieval-test", [*parts.events.subscriptions(), *parts.registry_events.subscriptions()])
    indexing = asyncio.create_task(consumer.run())
    server = Server(test_settings("retrieval"), make_verifier(), scopes=SCOPES)
    add_RetrievalServiceServicer_to_server(api, server.grpc)
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        yield Served(channel, log, held.readiness)
    await server.stop(1)
    await consumer.stop()
    await indexing
    await reader.aclose()


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
        ("documents.read", READS | {"ListDocuments", "SearchPassages", "VerifySources", "ListGenerations"}),
        ("documents.write", READS | WRITES),
        ("index.write", {"ListGenerations", "SwitchGeneration"}),
        ("cache.read", set()),
    ],
)
async def test_each_scope_opens_its_rpcs_only(served: Served, scopes: str, allowed: set[str]) -> None:
    caller, opened = served.caller(scopes=scopes), set()
    for method in (name.rsplit("/", 1)[1] for name in SCOPES):
        try:
            await (caller.upload() if method == "SubmitFile" else caller.call(method, timeout=0.3))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                continue
        opened.add(method)
    assert opened == allowed


async def test_a_file_is_read_found_and_cited_by_page(served: Served) -> None:
    anna = served.caller()
    pdf = (FILES / "handbook.pdf").read_bytes()
    response = await anna.send("handbook.pdf", pdf[:1_000], pdf[1_000:], metadata={"room": "hall"})
    assert (response.media_type, bool(response.title)) == ("application/pdf", True)
    await anna.wait(response.version, "handbook.pdf")
    passages = await anna.search("Who waters the two lemon trees?", page_size=20)
    assert {passage.page for passage in passages} == {1, 2, 3}
    assert passages[0].page == 1


async def test_a_table_becomes_a_passage_a_row(served: Served) -> None:
    anna = served.caller()
    response = await anna.send("prices.csv", b"product,price\nAurora,49\nFjord,890\n")
    await anna.wait(response.version, "prices.csv")
    assert "Fjord" in (await anna.search("Fjord price"))[0].text
    assert len(await anna.search("Fjord price")) == 2


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("broken.pdf", b"%PDF-1.7 nothing", "PDF"),
        ("notes.txt", b"\x00\x01\x02\x03" * 100, "text"),
        ("empty.md", b" \n", "text"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_a_reason(
    served: Served, name: str, data: bytes, expected: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await served.caller().send(name, data)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert expected in str(refusal.value.details())


async def test_a_file_of_200_megabytes_is_refused_and_not_kept(served: Served) -> None:
    part = b"x" * 1_000_000
    before = psutil.Process().memory_info().rss
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await served.caller().send("a.txt", *[part] * 200)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refusal.value) == ["file"]
    assert psutil.Process().memory_info().rss - before < 150 * 2**20


async def test_messages_of_a_file_in_a_wrong_order_are_refused(served: Served) -> None:
    header = pb.SubmitFileRequest(header=pb.FileHeader(document_id="a.txt", file_name="a.txt"))
    data = pb.SubmitFileRequest(data=b"text")
    for requests in ([], [data], [header, data, header]):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await served.caller().upload(requests)
        assert (refusal.value.code(), violations(refusal.value)) == (grpc.StatusCode.INVALID_ARGUMENT, ["part"])


async def test_a_registered_source_is_in_force_at_once_and_an_unknown_one_refused(served: Served) -> None:
    anna = served.caller()
    refusal = await anna.refused("SubmitDocument", document=pb.Document(document_id="a", text="b", source_id="wiki"))
    assert (refusal.code(), violations(refusal)) == (grpc.StatusCode.INVALID_ARGUMENT, ["document.source_id"])
    wiki = pb.Source(source_id="wiki", owner="anna", trust=pb.TRUST_LEVEL_HIGH)
    wiki.refresh_interval.FromSeconds(3600)
    await anna.call("PutSource", source=wiki)
    await anna.wait(await anna.submit(source_id="wiki"))
    listed = list((await anna.call("ListSources")).sources)
    assert [source.source_id for source in listed] == ["default", "wiki"]
    assert listed[1] == wiki
    [passage] = await anna.search()
    assert (passage.source_id, passage.freshness) == ("wiki", common.FRESHNESS_CURRENT)
    assert passage.trust == common.SOURCE_TRUST_HIGH
    assert list((await served.caller(tenant="globex").call("ListSources")).sources) == listed[:1]


async def test_a_confirmed_source_is_as_of_then(served: Served) -> None:
    anna = served.caller()
    await anna.call("PutSource", source=pb.Source(source_id="wiki"))
    await anna.wait(await anna.submit(source_id="wiki"))
    confirmed = (await anna.call("ConfirmSource", source_id="wiki")).as_of_time
    await eventually(lambda: _as_of(anna, confirmed))
    assert (await anna.refused("ConfirmSource", source_id="shop")).code() is grpc.StatusCode.NOT_FOUND


async def _as_of(caller: Caller, expected: Any) -> bool:
    return [passage.as_of_time for passage in await caller.search()] == [expected]


async def test_facts_are_found_and_the_newest_holds(served: Served) -> None:
    anna = served.caller()
    for value in ("49", "68"):
        fact = pb.Fact(subject="Aurora lamp", attribute="price", value=value, unit="EUR")
        [recorded] = (await anna.call("RecordFacts", facts=[fact])).recorded
        await anna.wait(recorded.version, recorded.document_id)
    [passage] = await anna.search("What is the price of the Aurora lamp?")
    assert passage.text.startswith("Aurora lamp: the price is 68 EUR since ")
    assert (await anna.refused("RecordFacts", facts=[])).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_search_says_which_index_answered_and_how_well(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit())
    response = await anna.call("SearchPassages", query="What does the lamp cost?")
    assert response.index_generation == "generation-1"
    assert 0 < response.support < 1


async def test_filters_narrow_a_search(served: Served) -> None:
    anna = served.caller()
    await anna.wait(await anna.submit(language="en", metadata={"room": "hall"}))
    await anna.wait(await anna.submit("Die Lampe kostet 12 Euro.", "lampe", language="de"), "lampe")
    german = await anna.search(filter=pb.SearchFilter(languages=["de"]))
    hall = await anna.search(filter=pb.SearchFilter(metadata={"room": "hall"}))
    assert [passage.ref.document_id for passage in (*german, *hall)] == ["lampe", "lamp"]
    old = pb.SearchFilter()
    old.to_time.FromSeconds(1)
    assert await anna.search(filter=old) == []


async def test_documents_are_listed_and_tell_their_history(served: Served) -> None:
    anna = served.caller()
    for text in ("It costs 12.", "It costs 13."):
        version = await anna.submit(text)
        await anna.wait(version)
    await anna.wait(await anna.submit("It costs 13.", "copy"), "copy")
    listed = list((await anna.call("ListDocuments")).documents)
    assert sorted(document.document_id for document in listed) == ["copy", "lamp"]
    assert not any(document.history for document in listed)
    status = (await anna.call("GetDocument", document_id="lamp")).status
    assert [(step.version, step.added_passages, step.removed_passages) for step in status.history] == [
        (version, 1, 1),
        (0, 1, 0),
    ]
    assert list(status.duplicate_ids) == ["copy"]
    assert (await anna.refused("ListDocuments", page_size=1_001)).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_copy_with_another_footer_is_told_to_who_may_see_it(served: Served) -> None:
    anna, text = served.caller(), " ".join(f"word{number}" for number in range(100))
    await anna.wait(await anna.submit(text))
    await anna.wait(await anna.submit(f"{text} all rights reserved", "copy"), "copy")
    await anna.wait(await anna.submit(f"{text} for sales", "secret", groups=["sales"]), "secret")
    [near] = (await anna.call("GetDocument", document_id="lamp")).status.near_duplicates
    assert near.document_id == "copy"
    assert 0.9 < near.similarity < 1


async def test_who_is_not_of_a_documents_groups_learns_nothing_by_waiting(served: Served) -> None:
    anna = served.caller()
    version = await anna.submit(groups=["sales"], metadata={"room": "hall"})
    status = await anna.wait(version)
    assert (status.version, status.state) == (version, pb.DOCUMENT_STATE_LIVE)
    assert (status.title, status.source_id, status.passage_count) == ("", "default", 0)
    assert not status.history
    assert not status.HasField("as_of_time")


@pytest.mark.parametrize("level", [99, -1])
async def test_a_trust_level_that_does_not_exist_is_refused(served: Served, level: int) -> None:
    anna = served.caller()
    put = await anna.refused("PutSource", source=pb.Source(source_id="wiki", trust=level))
    search = await anna.refused("SearchPassages", query="x", filter=pb.SearchFilter(minimum_trust=level))
    assert [error.code() for error in (put, search)] == [grpc.StatusCode.INVALID_ARGUMENT] * 2


async def test_a_fact_of_the_future_is_refused(served: Served) -> None:
    fact = pb.Fact(subject="Aurora lamp", attribute="price", value="99")
    fact.valid_from_time.FromSeconds(4_000_000_000)
    refusal = await served.caller().refused("RecordFacts", facts=[fact])
    assert violations(refusal) == ["valid_from_time"]


async def test_generations_are_shown_and_an_unknown_one_is_refused(served: Served) -> None:
    anna = served.caller()
    [generation] = (await anna.call("ListGenerations")).generations
    assert (generation.index_generation, generation.description) == ("generation-1", "words")
    assert (generation.serving, generation.complete, generation.behind) == (True, True, 0)
    assert (await anna.refused("SwitchGeneration", index_generation="x")).code() is grpc.StatusCode.NOT_FOUND
    assert violations(await anna.refused("SwitchGeneration")) == ["index_generation"]
    refused = await anna.refused("SearchPassages", query="lamp", index_generation="x")
    assert refused.code() is grpc.StatusCode.NOT_FOUND
