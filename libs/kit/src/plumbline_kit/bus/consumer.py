"""Consumes facts from Kafka."""

from collections.abc import Sequence
from typing import Any, Final

from plumbline_kit.bus.admin import create_dead_letter_topic
from plumbline_kit.bus.dead_letters import DeadLetters
from plumbline_kit.bus.kafka_source import KafkaSource, LoneSource
from plumbline_kit.bus.messages import Subscription
from plumbline_kit.bus.records import Appender
from plumbline_kit.bus.retry import Backoff
from plumbline_kit.bus.runner import Runner
from plumbline_kit.clock import Clock

CONCURRENCY: Final = 16
DRAIN_SECONDS: Final = 20.0


class KafkaConsumer(Runner):
    """One member of the consumer group *group*, or its only one.

    Up to *concurrency* handlers run at once; records of one key run in order. Delivery is at least once: a
    record comes again when the process dies before its offset is committed, about a second after it finished.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        group: str,
        subscriptions: Sequence[Subscription[Any]],
        dead_letters: Appender,
        clock: Clock,
        concurrency: int = CONCURRENCY,
        drain_seconds: float = DRAIN_SECONDS,
        backoff: Backoff | None = None,
        alone: bool = False,
    ) -> None:
        """*dead_letters* is the publisher that takes what cannot be used; its topics are made when first needed.

        *alone* is for the owner of what it fills: it takes all partitions at once, also after a kill, and a second
        consumer of the group would take them too.
        """

        async def prepare(topic: str) -> None:
            await create_dead_letter_topic(bootstrap_servers, topic)

        source = LoneSource if alone else KafkaSource
        super().__init__(
            source(bootstrap_servers, group, [subscription.topic.name for subscription in subscriptions]),
            group=group,
            subscriptions=subscriptions,
            dead_letters=DeadLetters(group, dead_letters, clock, prepare),
            clock=clock,
            concurrency=concurrency,
            drain_seconds=drain_seconds,
            backoff=backoff or Backoff(),
        )
