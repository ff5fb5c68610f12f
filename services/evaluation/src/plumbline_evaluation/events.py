"""Kafka in: generated answers. What goes out leaves through the store's outbox."""

from typing import Any, Final

from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_evaluation.handlers import RecordEvaluation
from plumbline_evaluation.translation import subject_from_proto
from plumbline_kit.bus.messages import Received, Subscription
from plumbline_kit.errors import Invalid

GROUP: Final = "evaluation"


class EvaluationEvents:
    """What evaluation listens to."""

    def __init__(self, record: RecordEvaluation) -> None:
        self._record = record

    def subscriptions(self) -> tuple[Subscription[Any], ...]:
        """For the consumer."""
        return (Subscription(ANSWER_GENERATED, self._answer_generated),)

    async def _answer_generated(self, received: Received[AnswerGenerated]) -> None:
        if received.body is None:
            raise Invalid("a record without a body says nothing of an answer")
        await self._record(subject_from_proto(received.body), event_id=received.event_id)
