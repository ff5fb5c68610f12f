"""The service as a process on a real broker: what a kill, a removed folder and a wrong encoder leave."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_contracts.topics import DOCUMENT_CHANGED
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Received, Subscription
from plumbline_kit.clock import SystemClock
from plumbline_kit.rpc import open_channel
from plumbline_kit.testing import eventually, test_settings, token

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """One retrieval process after another on the same state, and the log around them."""

    environment: dict[str, str]
    tenant: str
    state: Path
    stub: RetrievalServiceStub
    process: asyncio.subprocess.Process | None = None
    told: defaultdict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids of the events that told of a version."""

    async def start(self, **pipes: Any) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "plumbline_retrieval"]
        self.process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self.environment, **pipes)
        return self.process

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = await self.process.wait()
        self.process = None
        return code

    async def call(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self.stub, method)(request, timeout=60, wait_for_ready=True)

    async def submit(self, document_id: str, text: str) -> tuple[str, int]:
        document = pb.Document(document_id=document_id, title=document_id, text=text)
        return document_id, (await self.call("SubmitDocument", document=document)).version

    async def wait(self, document_id: str, version: int) -> pb.DocumentStatus:
        return (await self.call("WaitForDocument", document_id=document_id, version=version)).status

    async def search(self, query: str) -> list[common.Passage] | None:
        """None while the index is not whole."""
        try:
            return list((await self.call("SearchPassages", query=query, page_size=20)).passages)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return None
            raise

    async def whole_generations(self) -> list[pb.IndexGeneration] | None:
        """None until each is whole."""
        generations = (await self.call("ListGenerations")).generations
        return list(generations) if all(each.complete and not each.behind for each in generations) else None

    async def hear(self, record: Received[DocumentChanged]) -> None:
        if record.body is not None and record.body.tenant_id == self.tenant:
            self.told[record.body.document_id, record.body.new_version].add(record.event_id)


@pytest.fixture
async def running(kafka: str, encoder_dir: Path, tmp_path: Path) -> AsyncIterator[Running]:
    trusted, tenant, port = test_settings("retrieval"), f"tenant-{uuid.uuid4().hex[:8]}", free_port()
    environment = {
        "PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "STATE_DIR": str(tmp_path / "state"),
        "ENCODER_DIR": str(encoder_dir),
        "AUTH_JWKS": trusted.auth_jwks,
        "AUTH_ISSUER": trusted.auth_issuer,
        "AUTH_AUDIENCE": trusted.auth_audience,
    }
    publisher = KafkaPublisher(kafka, source="test", clock=SystemClock())
    async with open_channel(f"127.0.0.1:{port}", token=token(tenant)) as channel:
        retrieval = Running(environment, tenant, tmp_path / "state", RetrievalServiceStub(channel))
        listener = KafkaConsumer(
            kafka,
            group=f"test-{tenant}",
            subscriptions=[Subscription(DOCUMENT_CHANGED, retrieval.hear)],
            dead_letters=publisher,
            clock=SystemClock(),
        )
        listening = asyncio.create_task(listener.run())
        yield retrieval
        if retrieval.process is not None:
            await retrieval.end(signal.SIGKILL)
        await listener.stop()
        await listening
    await publisher.close()


async def test_documents_acknowledged_before_a_kill_are_indexed_after_it_and_told_once(running: Running) -> None:
    await running.start()
    versions: list[tuple[str, int]] = []
    for kill in range(3):
        texts = {f"lamp-{number}": f"Lamp {number} costs {kill}{number} euros." for number in range(20)}
        versions += await asyncio.gather(*(running.submit(*item) for item in texts.items()))
        await running.end(signal.SIGKILL)
        await running.start()
    statuses = await asyncio.gather(*(running.wait(*each) for each in versions))
    assert {status.state for status in statuses} == {pb.DOCUMENT_STATE_LIVE}
    found = await eventually(lambda: running.search("What does lamp 7 cost?"), seconds=30)
    assert "Lamp 7 costs 27 euros." in [passage.text for passage in found]
    assert all(passage.text.split("costs ")[1].startswith("2") for passage in found)
    await eventually(lambda: len(running.told) == len(versions), seconds=30)
    assert {len(ids) for ids in running.told.values()} == {1}
    assert await running.end(signal.SIGTERM) == 0


async def test_a_removed_folder_is_built_again_from_the_first_record(running: Running) -> None:
    await running.start()
    await running.wait(*await running.submit("kettle", "The kettle holds 1.7 litres."))
    assert await eventually(lambda: running.search("How much does the kettle hold?"), seconds=30)
    assert await running.end(signal.SIGTERM) == 0
    shutil.rmtree(running.state)
    await running.start()
    found = await eventually(lambda: running.search("How much does the kettle hold?"), seconds=30)
    assert found[0].text == "The kettle holds 1.7 litres."


async def test_a_folder_of_another_encoder_ends_the_start_with_one_sentence(running: Running) -> None:
    await running.start()
    await running.wait(*await running.submit("kettle", "The kettle holds 1.7 litres."))
    assert await eventually(lambda: running.search("How much does the kettle hold?"), seconds=30)  # it is whole
    await running.end(signal.SIGTERM)
    [path] = running.state.glob("*/generation.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": "other@1"}))
    process = await running.start(stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 1
    last = complaint.decode().splitlines()[-1]
    assert last.startswith(f"the index in {running.state} was built by other@1")
    assert "Traceback" not in complaint.decode()
    running.process = None


@dataclass
class Reader:
    """Asks without a pause and remembers which generations answered."""

    running: Running
    generations: list[str] = field(default_factory=list)
    empty: int = 0
    refused: int = 0
    stopping: bool = False

    async def run(self) -> None:
        while not self.stopping:
            try:
                reply = await self.running.call("SearchPassages", query="What does lamp 3 cost?")
            except grpc.aio.AioRpcError:
                self.refused += 1
                continue
            self.empty += not reply.passages
            self.generations.append(reply.index_generation)


async def test_a_generation_is_built_beside_and_switched_and_switched_back_while_questions_run(
    running: Running,
) -> None:
    await running.start()
    filler = " ".join(f"Sentence {number} says little." for number in range(30))
    for number in range(20):
        await running.wait(*await running.submit(f"lamp-{number}", f"Lamp {number} costs {number} euros. {filler}"))
    await running.end(signal.SIGTERM)

    running.environment["CANDIDATE_PASSAGE_TOKENS"] = "40"
    await running.start()
    old, new = await eventually(running.whole_generations, seconds=60)
    assert (old.serving, new.serving) == (True, False)
    assert new.description.endswith("passages of 40 tokens")

    async def found(generation: str = "") -> tuple[str, str]:
        reply = await running.call("SearchPassages", query="What does lamp 3 cost?", index_generation=generation)
        return reply.index_generation, reply.passages[0].text

    answered, whole = await found()
    compared, part = await found(new.index_generation)
    assert (answered, compared) == (old.index_generation, new.index_generation)
    assert len(part) < len(whole)
    assert whole.startswith(part)

    reader = Reader(running)
    reading = asyncio.create_task(reader.run())
    changed = await running.submit("lamp-3", f"Lamp 3 costs 33 euros. {filler}")
    reply = await running.call("SwitchGeneration", index_generation=new.index_generation)
    assert reply.previous_generation == old.index_generation
    await running.wait(*changed)
    answered, text = await found()
    assert answered == new.index_generation
    assert text.startswith("Lamp 3 costs 33 euros.")
    await running.call("SwitchGeneration", index_generation=old.index_generation)
    assert (await found())[0] == old.index_generation
    await running.call("SwitchGeneration", index_generation=new.index_generation)
    reader.stopping = True
    await reading
    assert (reader.refused, reader.empty) == (0, 0)
    assert set(reader.generations) == {old.index_generation, new.index_generation}

    await running.end(signal.SIGKILL)
    await running.start()
    assert await eventually(lambda: running.search("What does lamp 3 cost?"), seconds=30)
    assert (await found())[0] == new.index_generation
    await running.end(signal.SIGTERM)

    del running.environment["CANDIDATE_PASSAGE_TOKENS"]
    running.environment["PASSAGE_TOKENS"] = "40"
    await running.start()
    assert (await found())[0] == new.index_generation
    assert [path.parent.name for path in running.state.glob("*/generation.json")] == [new.index_generation]
    await eventually(lambda: len(running.told) == 21, seconds=30)
    assert {len(ids) for ids in running.told.values()} == {1}


async def test_a_polled_folder_is_searchable_and_follows_its_files(running: Running, tmp_path: Path) -> None:
    folder, plan = tmp_path / "shelf", tmp_path / "plan.toml"
    folder.mkdir()
    page = folder / "lamp.md"
    page.write_text("# Lamp\n\nThe lamp costs 12 euros.", encoding="utf-8")
    other = folder / "desk.md"  # a folder that is suddenly empty is taken for a mistake
    other.write_text("# Desk\n\nThe desk is of oak.", encoding="utf-8")
    for path in (page, other):
        os.utime(path, (1, 1))  # a file that was just written is left for later
    plan.write_text(
        f"""
[[source]]
tenant = "{running.tenant}"
source_id = "shelf"
kind = "folder"
location = "{folder}"
interval = "1s"
""",
        encoding="utf-8",
    )
    running.environment["POLL_PLAN"] = str(plan)
    await running.start()

    async def finds(words: str) -> bool:
        return any(words in passage.text for passage in await running.search("What does the lamp cost?") or [])

    await eventually(lambda: finds("costs 12"), seconds=30)
    page.write_text("# Lamp\n\nThe lamp costs 13 euros.", encoding="utf-8")
    os.utime(page, (2, 2))
    await eventually(lambda: finds("costs 13"), seconds=30)
    page.unlink()
    await eventually(lambda: _is_gone(running), seconds=30)
    assert await finds("of oak")
    assert await running.end(signal.SIGTERM) == 0


async def _is_gone(running: Running) -> bool:
    found = await running.search("What does the lamp cost?")
    return found is not None and not any("lamp" in passage.text for passage in found)
