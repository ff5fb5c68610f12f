"""Many who ask the same at once, on the whole platform."""

import asyncio
import uuid

from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from tests.conftest import System

CALLERS = 50
FIRST_TOKEN_SECONDS = 2.0
"""Longer than fifty questions take to arrive."""


async def test_fifty_identical_questions_at_once_are_one_request_to_the_model(system: System) -> None:
    name = f"Zephyr{uuid.uuid4().hex[:8]}"
    await system.driver.submit_and_wait(name, name, f"The {name} lamp costs 41 euros.")
    system.model.first_token_seconds = FIRST_TOKEN_SECONDS
    try:
        question = f"How much does the {name} lamp cost?"
        answers = await asyncio.gather(*(system.driver.ask(question) for _ in range(CALLERS)))
    finally:
        system.model.first_token_seconds = 0.0

    assert len([request for request in system.model.requests if name in str(request["messages"])]) == 1
    assert {answer.origin for answer in answers} == {gateway_pb.ANSWER_ORIGIN_GENERATED}
    assert len({answer.answer.text for answer in answers}) == 1
    begun = [answer.answer_id for answer in answers if not answer.coalesced_with]
    assert {answer.coalesced_with for answer in answers} == {"", *begun}
    assert len(begun) == 1
