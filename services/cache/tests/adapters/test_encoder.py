"""When a question waits for the encoder, and when it gives up."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from plumbline_cache.adapters.encoder import EncodedQuestions
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import eventually
from plumbline_models import Motion

VECTOR = np.ones(4, np.float32) / 2
PATIENCE = 0.025
LOOKS = 3


@dataclass
class Encoder:
    """Finishes a question when it is told to."""

    taken: list[asyncio.Future[Any]] = field(default_factory=list)
    now: float = 0.0
    remembers: bool = False
    finished: float = 0.0
    worked: float = 0.0

    def encode_one(self, text: str) -> Awaitable[Any]:
        self.taken.append(asyncio.get_running_loop().create_future())
        if self.remembers:
            self.taken[-1].set_result(VECTOR)
        return self.taken[-1]

    def finish(self, number: int) -> None:
        self.finished, self.worked = self.now, 0.0
        self.taken[number].set_result(VECTOR)

    def motion(self) -> Motion:
        return Motion(self.finished, self.worked)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def questions(encoder: Encoder) -> EncodedQuestions:
    return EncodedQuestions(encoder, now=lambda: encoder.now)


async def asked(questions: EncodedQuestions, encoder: Encoder, number: int = 1) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(questions.encode("Why?", patience=PATIENCE)) for _ in range(number)]
    await eventually(lambda: len(encoder.taken) >= number)
    return tasks


async def looks(encoder: Encoder, waiting: asyncio.Task[Any], number: int) -> None:
    """Let time go by, look by look."""
    for _ in range(number):
        encoder.now += 1.01 * PATIENCE / LOOKS
        await asyncio.wait({waiting}, timeout=PATIENCE)


async def test_waiting_behind_others_is_no_fault(questions: EncodedQuestions, encoder: Encoder) -> None:
    waiting = await asked(questions, encoder, 20)
    for number, task in enumerate(waiting):
        encoder.now += 0.02
        encoder.finish(number)
        assert (await task).tolist() == VECTOR.tolist()


async def test_who_waits_for_a_stuck_encoder_is_told_and_who_comes_then_at_once(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    [waiting] = await asked(questions, encoder)
    await looks(encoder, waiting, LOOKS)
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await questions.encode("Who?", patience=PATIENCE)
    assert len(encoder.taken) == 1


async def test_an_encoder_that_moves_again_is_asked_again(questions: EncodedQuestions, encoder: Encoder) -> None:
    [waiting] = await asked(questions, encoder)
    await looks(encoder, waiting, 2 * LOOKS)
    with pytest.raises(Unavailable):
        await waiting
    encoder.finish(0)
    await asyncio.sleep(0)
    [again] = [asyncio.create_task(questions.encode("Who?", patience=PATIENCE))]
    await eventually(lambda: len(encoder.taken) == 2)
    encoder.finish(1)
    assert (await again).tolist() == VECTOR.tolist()


async def test_what_was_remembered_says_nothing_of_an_encoder_that_is_stuck(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    [waiting] = await asked(questions, encoder)
    await looks(encoder, waiting, LOOKS - 1)
    encoder.remembers = True
    assert (await questions.encode("Who?", patience=PATIENCE)).tolist() == VECTOR.tolist()
    await looks(encoder, waiting, 1)
    with pytest.raises(Unavailable):
        await waiting


async def test_what_the_encoder_raises_comes_through(questions: EncodedQuestions, encoder: Encoder) -> None:
    [waiting] = await asked(questions, encoder)
    encoder.taken[0].set_exception(ValueError("too odd"))
    with pytest.raises(ValueError, match="too odd"):
        await waiting


async def test_who_has_more_patience_waits_on_when_others_have_left(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    patient = asyncio.create_task(questions.encode("A long story?", patience=10))
    [waiting] = await asked(questions, encoder)
    await looks(encoder, waiting, 2 * LOOKS)
    with pytest.raises(Unavailable):
        await waiting
    encoder.finish(0)
    assert (await patient).tolist() == VECTOR.tolist()


async def test_an_encoder_that_gets_little_of_a_busy_machine_is_waited_for(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    [waiting] = await asked(questions, encoder)
    for _ in range(10):
        encoder.now += PATIENCE / 4
        encoder.worked += PATIENCE / 20
        await asyncio.wait({waiting}, timeout=PATIENCE)
    encoder.finish(0)
    assert (await waiting).tolist() == VECTOR.tolist()


async def test_one_that_works_on_one_question_for_too_long_is_slow_however_busy_the_machine_is(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    [waiting] = await asked(questions, encoder)
    encoder.now += 2 * PATIENCE
    encoder.worked += PATIENCE
    with pytest.raises(Unavailable):
        await waiting


async def test_one_that_stops_amid_its_work_is_stuck(questions: EncodedQuestions, encoder: Encoder) -> None:
    [waiting] = await asked(questions, encoder)
    encoder.worked = PATIENCE / 10
    await looks(encoder, waiting, LOOKS)
    with pytest.raises(Unavailable):
        await waiting


async def test_one_look_at_a_time_when_nobody_had_a_turn_tells_nothing(
    questions: EncodedQuestions, encoder: Encoder
) -> None:
    [waiting] = await asked(questions, encoder)
    encoder.now += 10 * PATIENCE
    await asyncio.wait({waiting}, timeout=PATIENCE)
    encoder.finish(0)
    assert (await waiting).tolist() == VECTOR.tolist()
