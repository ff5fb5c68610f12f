"""The service on Kafka, PostgreSQL and the encoder: every answer gets one evaluation and one fact."""

import asyncio
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as pb
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.evaluation.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED, EVALUATION_COMPLETED
from plumbline_evaluation.adapters.postgres import Pool, PostgresEvaluations
from plumbline_evaluation.adapters.similarity import EncoderSimilarity
from plumbline_evaluation.domain.measures import Minimums
from plumbline_evaluation.events import EvaluationEvents
from plumbline_evaluation.handlers import EvaluateAnswer, RecordEvaluation
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Received, Subscription, create_topics
from plumbline_kit.bus.outbox import OutboxRelay
from plumbline_kit.clock import SystemClock
from plumbline_kit.rpc import open_channel
from plumbline_kit.testing import eventually, test_settings, token
from plumbline_models.encoder import Encoder
from plumbline_models.threaded import ThreadedEncoder

ROOT = Path(__file__).parents[3]
QUESTION = "How much is the Aurora lamp?"
SOURCE = "The Aurora lamp costs 49 euros. It is in stock."


def a_fact(answer_id: str, text: str) -> AnswerGenerated:
    fact = AnswerGenerated(answer_id=answer_id, tenant_id="acme", question=QUESTION)
    fact.answer.text = text
    fact.answer.outcome = common_pb.ANSWER_OUTCOME_ANSWERED
    fact.answer.claims.add(start_offset=0, end_offset=len(text), source_numbers=[1])
    fact.answer.sources.add(title="Aurora", text=SOURCE)
    return fact


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for part in parts:
            await part.stop()
        await asyncio.gather(*tasks)


@pytest.fixture
async def publisher(kafka: str) -> AsyncIterator[KafkaPublisher]:
    await asyncio.to_thread(create_topics, kafka, [ANSWER_GENERATED, EVALUATION_COMPLETED], max_partitions=2)
    publisher = KafkaPublisher(kafka, source="test", clock=SystemClock())
    yield publisher
    await publisher.close()


@pytest.fixture
async def record(pool: Pool, encoder_dir: Path, minimums: Minimums) -> AsyncIterator[RecordEvaluation]:
    encoder = ThreadedEncoder(Encoder.load(encoder_dir))
    evaluate = EvaluateAnswer(EncoderSimilarity(encoder), minimums, SystemClock())
    yield RecordEvaluation(evaluate, PostgresEvaluations(pool))
    await encoder.aclose()


def consumer(kafka: str, publisher: KafkaPublisher, *subscriptions: Subscription[Any]) -> KafkaConsumer:
    """A consumer of a group of its own: to it every record comes again, as after a lost offset."""
    group = f"test-{uuid.uuid4().hex[:8]}"
    return KafkaConsumer(kafka, group=group, subscriptions=subscriptions, dead_letters=publisher, clock=SystemClock())


async def announced(kafka: str, publisher: KafkaPublisher, answer_ids: set[str]) -> list[EvaluationCompleted]:
    """Every fact on the topic about *answer_ids*."""
    facts: list[EvaluationCompleted] = []

    async def heard(received: Received[EvaluationCompleted]) -> None:
        if received.body and received.body.subject.answer_id in answer_ids:
            facts.append(received.body)

    listener = consumer(kafka, publisher, Subscription(EVALUATION_COMPLETED, heard))
    async with running(listener):
        await listener.caught_up()
    return facts


async def outbox_is_empty(pool: Pool) -> bool:
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT 1 FROM outbox LIMIT 1")).fetchone() is None


async def test_redelivered_answers_have_one_evaluation_and_one_fact_each(
    kafka: str, publisher: KafkaPublisher, pool: Pool, record: RecordEvaluation
) -> None:
    right, wrong = str(uuid.uuid4()), str(uuid.uuid4())
    for answer_id, text in ((right, "The Aurora lamp costs 49 euros."), (wrong, "Paris is the capital of France.")):
        for event_id in (f"{answer_id}-1", f"{answer_id}-1", f"{answer_id}-2"):
            await publisher.publish(ANSWER_GENERATED, answer_id, a_fact(answer_id, text), event_id=event_id)
    async with running(OutboxRelay(pool, publisher, [EVALUATION_COMPLETED], SystemClock())):
        for _ in range(2):
            evaluation = consumer(kafka, publisher, *EvaluationEvents(record).subscriptions())
            async with running(evaluation):
                await evaluation.caught_up()
        await eventually(lambda: outbox_is_empty(pool))
    facts = await announced(kafka, publisher, {right, wrong})
    assert {fact.subject.answer_id: fact.evaluation.verdict for fact in facts} == {
        right: pb.VERDICT_PASSED,
        wrong: pb.VERDICT_FAILED,
    }
    assert len(facts) == 2


@dataclass
class Process:
    """One evaluation process after another on the same database."""

    environment: dict[str, str]
    running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [sys.executable, "-m", "plumbline_evaluation"]
        self.running = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=self.environment)

    async def end(self, number: signal.Signals) -> int:
        assert self.running is not None
        self.running.send_signal(number)
        code = await self.running.wait()
        self.running = None
        return code

    async def verdict(self, answer_id: str) -> int | None:
        """None while there is no evaluation, or nobody who could tell."""
        request = pb.GetEvaluationRequest(answer_id=answer_id)
        async with open_channel(f"127.0.0.1:{self.environment['PORT']}", token=token("acme")) as channel:
            try:
                reply = await EvaluationServiceStub(channel).GetEvaluation(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                    return None
                raise
        return reply.evaluation.verdict


@pytest.fixture
async def process(kafka: str, database: str, encoder_dir: Path) -> AsyncIterator[Process]:
    trusted = test_settings("evaluation")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = Process(
        {
            "PORT": str(port),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "POSTGRES_DSN": database,
            "ENCODER_DIR": str(encoder_dir),
            "AUTH_JWKS": trusted.auth_jwks,
            "AUTH_ISSUER": trusted.auth_issuer,
            "AUTH_AUDIENCE": trusted.auth_audience,
            "LOG_LEVEL": "warning",
        }
    )
    yield process
    if process.running is not None:
        await process.end(signal.SIGKILL)


async def test_killed_in_the_middle_it_evaluates_every_answer_once_and_ends_well_when_told(
    kafka: str, publisher: KafkaPublisher, pool: Pool, process: Process
) -> None:
    answer_ids = [str(uuid.uuid4()) for _ in range(40)]
    await process.start()
    for answer_id in answer_ids:
        await publisher.publish(ANSWER_GENERATED, answer_id, a_fact(answer_id, SOURCE))
    await eventually(lambda: process.verdict(answer_ids[0]), seconds=30)
    await process.end(signal.SIGKILL)
    await process.start()
    for answer_id in answer_ids:
        assert await eventually(partial(process.verdict, answer_id), seconds=30) == pb.VERDICT_PASSED
    await eventually(lambda: outbox_is_empty(pool), seconds=30)  # what is left in it waits for the next start
    assert await process.end(signal.SIGTERM) == 0
    facts = await announced(kafka, publisher, set(answer_ids))
    assert sorted(fact.subject.answer_id for fact in facts) == sorted(answer_ids)
