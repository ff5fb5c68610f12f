"""The bus: facts go in, use cases hear of them. On Kafka, and in memory for tests."""

from plumbline_kit.bus.admin import TopicDescription, create_topics, describe_topics
from plumbline_kit.bus.consumer import KafkaConsumer
from plumbline_kit.bus.guard import TooManyInvalid
from plumbline_kit.bus.history import History, KafkaHistory
from plumbline_kit.bus.memory import MemoryBus, MemoryHistory
from plumbline_kit.bus.messages import Position, Publisher, Received, Subscription
from plumbline_kit.bus.publisher import KafkaPublisher
from plumbline_kit.bus.retry import Backoff

__all__ = [
    "Backoff",
    "History",
    "KafkaConsumer",
    "KafkaHistory",
    "KafkaPublisher",
    "MemoryBus",
    "MemoryHistory",
    "Position",
    "Publisher",
    "Received",
    "Subscription",
    "TooManyInvalid",
    "TopicDescription",
    "create_topics",
    "describe_topics",
]
