"""The service as a process on a real broker: what it hears, what it serves, and what a kill leaves."""

import asyncio
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_events_pb2 import EntryInvalidated
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_contracts.topics import DOCUMENT_CHANGED, ENTRY_INVALIDATED, EVALUATION_COMPLETED
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Received, Subscription
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release
from plumbline_kit.rpc import open_channel
from plumbline_kit.testing import eventually, test_settings, token

Make = Callable[..., Any]

ROOT = Path(__file__).parents[3]
LAMP = "What is the price of the Aurora lamp?"
SAME_LAMP = "Please, what's the price of the Aurora lamp?"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """One cache process after another on the same state, and the log around them."""

    environment: dict[str, str]
    release: Release
    tenant: str
    publisher: KafkaPublisher
    process: asyncio.subprocess.Process | None = None
    told: list[EntryInvalidated] = field(default_factory=list)

    async def start(self) -> None:
        command = [sys.executable, "-m", "plumbline_cache"]
        self.process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self.environment)

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = await self.process.wait()
        self.process = None
        return code

    async def look_up(self, question: str = LAMP) -> pb.LookupAnswerResponse | None:
        """None while nobody listens."""
        release = ReleaseRef(application_id=self.release.application_id, release_id=self.release.id)
        request = pb.LookupAnswerRequest(question=question, release=release)
        async with open_channel(f"127.0.0.1:{self.environment['PORT']}", token=token(self.tenant)) as channel:
            try:
                return await CacheServiceStub(channel).LookupAnswer(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return None
                raise

    async def hit(self, question: str = LAMP) -> pb.CacheHit | None:
        response = await self.look_up(question)
        return response.hit if response is not None and response.HasField("hit") else None

    async def caught_up(self) -> bool:
        response = await self.look_up("Anything?")
        return response is not None and response.miss_reason == pb.MISS_REASON_NOT_FOUND

    async def hear_drop(self, received: Received[EntryInvalidated]) -> None:
        if received.body is not None and received.body.tenant_id == self.tenant:
            self.told.append(received.body)


@pytest.fixture
async def running(kafka: str, encoder_dir: Path, tmp_path: Path, release: Release) -> AsyncIterator[Running]:
    trusted = test_settings("cache")
    environment = {
        "PORT": str(free_port()),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "STATE_DIR": str(tmp_path / "state"),
        "ENCODER_DIR": str(encoder_dir),
        "AUTH_JWKS": trusted.auth_jwks,
        "AUTH_ISSUER": trusted.auth_issuer,
        "AUTH_AUDIENCE": trusted.auth_audience,
    }
    clock = SystemClock()
    publisher = KafkaPublisher(kafka, source="test", clock=clock)
    cache = Running(environment, release, f"tenant-{uuid.uuid4().hex[:8]}", publisher)
    listener = KafkaConsumer(
        kafka,
        group=f"test-{cache.tenant}",
        subscriptions=[Subscription(ENTRY_INVALIDATED, cache.hear_drop)],
        dead_letters=publisher,
        clock=clock,
    )
    listening = asyncio.create_task(listener.run())
    yield cache
    if cache.process is not None:
        await cache.end(signal.SIGKILL)
    await listener.stop()
    await listening
    await publisher.close()


async def test_a_cache_that_was_killed_serves_no_answer_whose_source_changed_meanwhile(
    running: Running, evaluated: Make, changed: Make
) -> None:
    tenant = running.tenant
    await running.start()
    await eventually(running.caught_up, seconds=30)
    await running.publisher.publish(
        EVALUATION_COMPLETED,
        "a1",
        evaluated(("prices", 3, "h1"), question=LAMP, tenant=tenant, groups=(), generate_time=SystemClock().now()),
    )
    await eventually(running.hit, seconds=30)  # admitted between the look at one tier and at the next: a semantic hit
    hit = await eventually(running.hit)
    assert (hit.tier, hit.answer_id) == (pb.CACHE_TIER_EXACT, "a1")
    near = await eventually(lambda: running.hit(SAME_LAMP))  # a busy machine may need another look: 30 ms is the limit
    assert near.tier == pb.CACHE_TIER_SEMANTIC

    await running.end(signal.SIGKILL)
    await running.start()
    assert (await eventually(running.hit, seconds=30)).answer_id == "a1"

    await running.end(signal.SIGKILL)
    await running.publisher.publish(DOCUMENT_CHANGED, f"{tenant}/prices", changed(3, 4, ["h1"], tenant=tenant))
    await running.start()
    while not await running.caught_up():
        assert await running.hit() is None
    assert await running.hit() is None
    assert await running.hit(SAME_LAMP) is None
    await eventually(lambda: running.told)
    assert [(fact.answer_id, fact.document_version) for fact in running.told] == [("a1", 4)]
    assert await running.end(signal.SIGTERM) == 0
