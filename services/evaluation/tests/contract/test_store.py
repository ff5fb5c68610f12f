"""One suite for every `EvaluationStore`: the fake, and the one on PostgreSQL."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline_evaluation.adapters.postgres import Pool, PostgresEvaluations
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation, Measure
from plumbline_evaluation.ports import EvaluationStore
from plumbline_evaluation.testing import MemoryEvaluations, a_subject

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class Kept:
    """A store, and the ids of the evaluations that it announced."""

    store: EvaluationStore
    announced: Callable[[], Awaitable[list[str]]]


@pytest.fixture(params=["memory", "postgres"])
def kept(request: pytest.FixtureRequest) -> Kept:
    return _memory() if request.param == "memory" else _postgres(request.getfixturevalue("pool"))


def _memory() -> Kept:
    store = MemoryEvaluations()

    async def announced() -> list[str]:
        return [completed.id for completed in store.announced]

    return Kept(store, announced)


def _postgres(pool: Pool) -> Kept:
    async def announced() -> list[str]:
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT body FROM outbox ORDER BY id")
            return [EvaluationCompleted.FromString(row[0]).evaluation_id for row in await cursor.fetchall()]

    return Kept(PostgresEvaluations(pool), announced)


def an_evaluation(answer_id: str = "answer-1", *, tenant: str = "acme", value: float = 0.75) -> CompletedEvaluation:
    measure = Measure("faithfulness", "1", 0.6)
    scores = (measure.measured(value, "counted"), measure.not_measured("no source"))
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}/{answer_id}"))
    return CompletedEvaluation(identity, a_subject(tenant=tenant, answer_id=answer_id), Evaluation(scores, TIME))


async def test_what_was_recorded_is_found_as_it_was(kept: Kept) -> None:
    completed = an_evaluation()
    assert await kept.store.record(completed, event_id="event-1")
    assert await kept.store.find("acme", "answer-1") == completed.evaluation


async def test_what_was_not_recorded_is_not_found(kept: Kept) -> None:
    assert await kept.store.find("acme", "answer-1") is None


async def test_an_event_counts_once(kept: Kept) -> None:
    assert await kept.store.record(an_evaluation(), event_id="event-1")
    assert not await kept.store.record(an_evaluation(), event_id="event-1")
    assert await kept.announced() == [an_evaluation().id]


async def test_an_answer_is_evaluated_once_whatever_its_event(kept: Kept) -> None:
    assert await kept.store.record(an_evaluation(value=0.75), event_id="event-1")
    assert not await kept.store.record(an_evaluation(value=0.25), event_id="event-2")
    found = await kept.store.find("acme", "answer-1")
    assert found is not None
    assert found.scores[0].value == 0.75
    assert await kept.announced() == [an_evaluation().id]


async def test_many_deliveries_at_once_are_one(kept: Kept) -> None:
    completed = an_evaluation()
    recorded = await asyncio.gather(*(kept.store.record(completed, event_id=f"event-{n % 2}") for n in range(8)))
    assert sum(recorded) == 1
    assert await kept.announced() == [completed.id]


async def test_tenants_share_answer_ids_and_nothing_else(kept: Kept) -> None:
    assert await kept.store.record(an_evaluation(value=0.75), event_id="event-1")
    assert await kept.store.record(an_evaluation(tenant="globex", value=0.25), event_id="event-2")
    found = [await kept.store.find(tenant, "answer-1") for tenant in ("acme", "globex", "initech")]
    assert [evaluation and evaluation.scores[0].value for evaluation in found] == [0.75, 0.25, None]
