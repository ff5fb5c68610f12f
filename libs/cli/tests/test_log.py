"""The log's commands on a real broker."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_cli.log import LogReader, read_all, reading
from plumbline_contracts.topics import DOCUMENT_CHANGED, DOCUMENT_SUBMITTED, EVALUATION_COMPLETED, TOPICS
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.bus.dead_letters import GROUP, OFFSET, PARTITION, REASON, TOPIC
from plumbline_kit.clock import SystemClock

Publish = Callable[..., str]
DEAD_LETTERS = EVALUATION_COMPLETED.dead_letters("cache")
DEAD_SUBMISSIONS = DOCUMENT_SUBMITTED.dead_letters("indexer")


@pytest.fixture(scope="module")
def broker(kafka: str) -> str:
    """The run's broker, with every topic of the table and two for dead letters."""
    names = [topic.name for topic in TOPICS] + [DEAD_LETTERS, DEAD_SUBMISSIONS]
    admin = AdminClient({"bootstrap.servers": kafka})
    missing = [NewTopic(name, 3, 1) for name in names if name not in admin.list_topics(timeout=10).topics]
    for created in admin.create_topics(missing).values() if missing else ():
        created.result()
    return kafka


@pytest.fixture
def change(broker: str) -> Publish:
    """Publishes that a document changed; returns the document's id."""

    def publish() -> str:
        document_id = f"doc-{uuid.uuid4().hex[:8]}"
        body = DocumentChanged(tenant_id="acme", document_id=document_id, new_version=7)
        with_publisher(broker, lambda publisher: publisher.publish(DOCUMENT_CHANGED, f"acme/{document_id}", body))
        return document_id

    return publish


@pytest.fixture
def bury(broker: str) -> Callable[[str], str]:
    """Puts a dead letter on a topic; returns its answer's id."""

    def publish(topic: str) -> str:
        answer_id = str(uuid.uuid4())
        body = EvaluationCompleted(evaluation_id="e")
        body.subject.answer_id = answer_id
        texts = {
            REASON: "no source",
            GROUP: "cache",
            TOPIC: topic,
            PARTITION: "1",
            OFFSET: "5",
            "ce_id": f"id-{answer_id}",
        }
        headers = tuple((name, text.encode()) for name, text in texts.items())
        with_publisher(
            broker, lambda publisher: publisher.append(topic, answer_id.encode(), body.SerializeToString(), headers)
        )
        return answer_id

    return publish


def with_publisher(broker: str, use: Callable[[KafkaPublisher], Any]) -> None:
    async def publish() -> None:
        publisher = KafkaPublisher(broker, source="test", clock=SystemClock())
        await use(publisher)
        await publisher.close()

    asyncio.run(publish())


def all_of(reader: LogReader) -> list[str]:
    return [record.key for record in reader.read(5)]


def test_a_reader_sees_what_is_published_after_it_began(broker: str, change: Publish) -> None:
    change()
    with reading(broker, [DOCUMENT_CHANGED.name]) as reader:
        document_id = change()
        assert all_of(reader) == [f"acme/{document_id}"]


def test_tail_shows_events_from_the_beginning_up_to_a_limit(plumbline: Any, broker: str, change: Publish) -> None:
    change()
    options = ("--topic", "document-changed", "--from-beginning", "--limit", "1", "--json")
    result = plumbline("--kafka", broker, "events", "tail", *options)
    [event] = [json.loads(line) for line in result.stdout.splitlines()]
    assert event["topic"] == DOCUMENT_CHANGED.name
    assert int(event["body"]["new_version"]) >= 0
    assert event["event_id"]


def test_tail_stops_after_its_seconds(plumbline: Any, broker: str, change: Publish) -> None:
    document_id = change()
    result = plumbline("--kafka", broker, "events", "tail", "--from-beginning", "--seconds", "2")
    assert result.exit_code == 0
    assert f"retrieval.document-changed.v1  acme/{document_id}" in result.stdout


def test_topics_shows_the_table_with_its_records(plumbline: Any, broker: str, change: Publish) -> None:
    change()
    [rows] = plumbline.json("--kafka", broker, "topics")
    row = next(row for row in rows if row["topic"] == DOCUMENT_CHANGED.name)
    assert row["records"] >= 1
    assert row["partitions"] >= 1
    assert row["message"] == "plumbline.retrieval.v1.DocumentChanged"
    assert [row["topic"] for row in rows] == [topic.name for topic in TOPICS]


def test_dead_letters_are_listed_with_why_and_where_from(
    plumbline: Any, broker: str, bury: Callable[[str], str]
) -> None:
    answer_id = bury(DEAD_LETTERS)
    [rows] = plumbline.json("--kafka", broker, "dlq", "list")
    assert next(row["records"] for row in rows if row["topic"] == DEAD_LETTERS) >= 1
    letter = plumbline.json("--kafka", broker, "dlq", "show", "evaluation-completed")[-1]
    assert letter["key"] == answer_id
    assert (letter["reason"], letter["group"], letter["origin"]) == ("no source", "cache", f"{DEAD_LETTERS}[1]@5")
    assert letter["body"]["subject"]["answer_id"] == answer_id


def test_a_replayed_dead_letter_is_the_original_record(plumbline: Any, broker: str, bury: Callable[[str], str]) -> None:
    answer_id = bury(DEAD_LETTERS)
    letter = next(
        row for row in plumbline.json("--kafka", broker, "dlq", "show", DEAD_LETTERS) if row["key"] == answer_id
    )
    result = plumbline("--kafka", broker, "dlq", "replay", DEAD_LETTERS, "--at", letter["at"])
    assert result.exit_code == 0
    [record] = [record for record in read_all(broker, [EVALUATION_COMPLETED.name]) if record.key == answer_id]
    assert record.headers["ce_id"] == f"id-{answer_id}"
    assert not any(name.startswith("dlq_") for name in record.headers)
    assert isinstance(record.body, EvaluationCompleted)


def test_an_old_version_of_a_document_is_never_replayed(
    plumbline: Any, broker: str, bury: Callable[[str], str]
) -> None:
    bury(DEAD_SUBMISSIONS)
    result = plumbline("--kafka", broker, "dlq", "replay", "document-submitted")
    assert result.exit_code == 1
    assert "ingest the documents again" in result.stderr
