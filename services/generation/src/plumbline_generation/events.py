"""Kafka out: the fact that an answer was generated."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import structlog
from opentelemetry.metrics import Counter

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_generation.ports import Generated
from plumbline_generation.translation import answer_to_proto, condensation_to_proto, record_to_proto
from plumbline_kit.bus.messages import Publisher
from plumbline_kit.errors import PlumblineError
from plumbline_kit.release import Release

log = structlog.get_logger()

EVENT_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, ANSWER_GENERATED.name)
"""The space of this topic's event ids: an answer has the same one however often it is published."""


class BusJournal:
    """`Journal` on the event log."""

    def __init__(
        self, publisher: Publisher, release: Release, *, unrecorded: Counter, redact: Callable[[AnswerGenerated], None]
    ) -> None:
        """*unrecorded* counts the answers that the log did not take; *redact* changes a fact before it is published."""
        self._publisher = publisher
        self._release = release
        self._unrecorded = unrecorded
        self._redact = redact
        self._on_their_way: set[asyncio.Task[bool]] = set()

    async def record(self, fact: Generated, seconds: float) -> bool:
        """See `Journal`."""
        publishing = asyncio.create_task(self._publish(fact))
        self._on_their_way.add(publishing)
        publishing.add_done_callback(self._on_their_way.discard)
        done, _ = await asyncio.wait({publishing}, timeout=seconds)
        return bool(done) and publishing.result()

    async def _publish(self, fact: Generated) -> bool:
        answer_id = fact.assignment.answer_id
        event_id = str(uuid.uuid5(EVENT_IDS, answer_id))
        try:
            await self._publisher.publish(ANSWER_GENERATED, answer_id, self._to_proto(fact), event_id=event_id)
        except PlumblineError as error:
            self._unrecorded.add(1)
            log.warning("answer_not_recorded", answer_id=answer_id, reason=str(error))
            return False
        return True

    def _to_proto(self, fact: Generated) -> AnswerGenerated:
        message = AnswerGenerated(
            answer_id=fact.assignment.answer_id,
            tenant_id=fact.caller.tenant,
            groups=sorted(fact.caller.groups),
            release=common_pb.ReleaseRef(application_id=self._release.application_id, release_id=self._release.id),
            question=fact.assignment.question,
            answer=answer_to_proto(fact.answer),
            record=record_to_proto(fact.record, self._release),
            condensation=condensation_to_proto(fact.assignment.condensation),
            json_schema=fact.assignment.schema.text if fact.assignment.schema else "",
            audited_answer_id=fact.assignment.audited_answer_id,
        )
        message.generate_time.FromDatetime(fact.time)
        self._redact(message)
        return message
