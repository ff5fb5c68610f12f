"""An endpoint that errs, hangs, dies and comes back costs its callers no answer, and no answer comes twice."""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_kit.testing.llm import FakeLLM
from plumbline_local.layout import Layout
from plumbline_local.supervisor import Supervisor
from tests.chaos.endpoints import Between, between, fact
from tests.driver import read_all

CALLERS = 4
CLOSED, HALF_OPEN, OPEN = range(3)


@dataclass(frozen=True)
class Phase:
    """What the sick endpoint does, and what must have been seen of it before the phase may end."""

    name: str
    answers: int
    """That are asked for, at least."""
    outcome: str
    """Of an attempt."""
    state: int
    """Of the breaker."""
    fault: Mapping[str, Any] = field(default_factory=dict)
    dead: bool = False


PHASES = (
    Phase("well", 20, "answered", CLOSED),
    Phase("errs", 120, "server_error", OPEN, {"share": 0.3, "status": 500}),
    Phase("breaks off", 120, "broke_off", OPEN, {"share": 0.3, "drop_after": 0}),
    Phase("hangs", 120, "timed_out", HALF_OPEN, {"hang": True}),
    Phase("dead", 120, "unreachable", OPEN, dead=True),
    Phase("back", 40, "answered", CLOSED),
)


@dataclass
class Seen:
    """What the callers got, by answer id."""

    texts: dict[str, str] = field(default_factory=dict)
    completed: dict[str, pb.AnswerCompleted] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    states: dict[str, list[int]] = field(default_factory=dict)
    """Of the sick endpoint's breaker, by phase, without repetitions."""

    @property
    def delivered(self) -> list[str]:
        """The answers that a model gave, whole."""
        return [
            answer_id
            for answer_id, done in self.completed.items()
            if done.answer.outcome == common_pb.ANSWER_OUTCOME_ANSWERED
            and self.texts[answer_id] == done.answer.text == fact(self.numbers[answer_id])
        ]


@pytest.mark.timeout(100)
async def test_an_endpoint_that_errs_hangs_dies_and_comes_back_costs_no_answer_and_doubles_none(
    layout: Layout, supervisor: Supervisor, kafka: str, tmp_path: Path
) -> None:
    seen = Seen()
    async with between(layout, supervisor, tmp_path) as running:
        began = time.monotonic()
        for phase in PHASES:
            async with suffering(running.sick, phase):
                seen.states[phase.name] = await asked_while(running, seen, phase)
        seconds = time.monotonic() - began
    records = Counter(key for key, _ in read_all(kafka, ANSWER_GENERATED.name) if key in seen.completed)
    tell(seen, running, records, seconds)

    delivered = seen.delivered
    assert len(delivered) >= 0.995 * len(seen.completed)
    assert len({seen.texts[answer_id] for answer_id in delivered}) == len(delivered), "a text came twice"
    assert all(done.recorded for done in seen.completed.values())
    assert records == dict.fromkeys(seen.completed, 1), "an answer was not recorded exactly once"
    assert seen.states["well"] == [CLOSED]
    assert set(running.metrics.states["well"]) == {CLOSED}


@asynccontextmanager
async def suffering(sick: FakeLLM, phase: Phase) -> AsyncIterator[None]:
    with sick.failing(**phase.fault):
        if phase.dead:
            await sick.__aexit__()
        yield
        if phase.dead:
            await sick.__aenter__()


async def asked_while(running: Between, seen: Seen, phase: Phase) -> list[int]:
    """Ask, several callers at once, until the phase has been seen: the breaker's states in it."""
    states, attempts, key = running.metrics.states["sick"], running.metrics.attempts, ("sick", phase.outcome)
    already, attempted, first = len(states), attempts.get(key, 0), len(seen.completed)
    numbers = itertools.count()

    def is_over(number: int) -> bool:
        return number >= phase.answers and attempts.get(key, 0) > attempted and phase.state in states[already:]

    async def caller() -> None:
        while not is_over(number := next(numbers)):
            answer_id = str(uuid.uuid4())
            seen.numbers[answer_id] = first + number
            seen.texts[answer_id], seen.completed[answer_id] = await running.ask(first + number, answer_id)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return [state for state, _ in itertools.groupby(states[already:])]


def tell(seen: Seen, running: Between, records: Counter[str], seconds: float) -> None:
    """The figures, which pytest shows with -s."""
    names = ("closed", "half-open", "open")
    attempts = Counter(attempt.outcome for done in seen.completed.values() for attempt in done.record.attempts)
    lines = [
        f"answers: {len(seen.delivered)} of {len(seen.completed)} whole and from a model, in {seconds:.0f} s",
        f"recorded: {sum(records.values())} records of {len(records)} answers",
        *(f"{pb.AttemptOutcome.Name(outcome)}: {count}" for outcome, count in sorted(attempts.items())),
        *(f"breaker, {phase}: {', '.join(names[state] for state in states)}" for phase, states in seen.states.items()),
        *(f"metric, {endpoint} {outcome}: {n}" for (endpoint, outcome), n in sorted(running.metrics.attempts.items())),
    ]
    print("\n" + "\n".join(lines))  # noqa: T201  # the test's figures
