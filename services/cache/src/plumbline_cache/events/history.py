"""Kafka in: what was evaluated, read again from the first record that the log has."""

from collections.abc import AsyncGenerator
from contextlib import suppress

from plumbline_cache.domain.admission import Candidate
from plumbline_cache.events.entries import candidate_of
from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_kit.bus import History
from plumbline_kit.errors import Invalid


class LoggedEvaluations:
    """`EvaluatedAnswers` on the event log."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def of_tenant(self, tenant: str) -> AsyncGenerator[Candidate, None]:
        """See `EvaluatedAnswers`."""
        async for received in self._history.read(EVALUATION_COMPLETED):
            if received.body is not None and received.body.subject.tenant_id == tenant:
                with suppress(Invalid):  # it lies among the dead letters of the cache
                    yield candidate_of(received.body)
