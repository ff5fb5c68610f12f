"""What was published can be read again by anybody, and reading leaves no trace."""

from typing import Any

import pytest

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_contracts.topics import Topic
from plumbline_kit.bus import History, KafkaHistory, MemoryHistory
from plumbline_kit.errors import Unavailable


@pytest.fixture
def history(bus: Any, servers: str | None) -> History:
    return MemoryHistory(bus.publisher) if servers is None else KafkaHistory(servers)


async def versions(history: History, topic: Topic[DocumentChanged]) -> list[int]:
    return sorted([received.body.new_version async for received in history.read(topic) if received.body])


async def test_every_record_is_read_as_often_as_somebody_asks(
    bus: Any, history: History, topic: Topic[DocumentChanged]
) -> None:
    assert await versions(history, topic) == []
    for number in range(20):
        await bus.publisher.publish(topic, f"acme/{number}", DocumentChanged(new_version=number))
    for _ in range(2):
        assert await versions(history, topic) == list(range(20))


async def test_what_is_not_the_topics_message_is_left_out(
    bus: Any, history: History, topic: Topic[DocumentChanged]
) -> None:
    await bus.publisher.append(topic.name, b"acme/1", b"\xff\xff", ())
    await bus.publisher.publish(topic, "acme/1", DocumentChanged(new_version=7))
    assert await versions(history, topic) == [7]


async def test_whoever_has_seen_enough_may_stop(bus: Any, history: History, topic: Topic[DocumentChanged]) -> None:
    for number in range(3):
        await bus.publisher.publish(topic, "acme/1", DocumentChanged(new_version=number))

    reading: Any = history.read(topic)
    first = await anext(reading)
    await reading.aclose()
    assert first.body == DocumentChanged(new_version=0)


async def test_a_log_that_is_away_is_unavailable() -> None:
    topic = Topic("test.away.v1", DocumentChanged, "tenant/document", 4)
    with pytest.raises(Unavailable):
        await versions(KafkaHistory("127.0.0.1:9", broker_seconds=0.2), topic)
