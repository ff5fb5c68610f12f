"""SIGKILL of every service at random moments under load loses nothing and doubles nothing."""

import asyncio
import random
import signal
import uuid
from collections import Counter
from functools import partial

import grpc
import pytest

from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_kit.testing import eventually
from tests.chaos.load import Ledger, Load
from tests.conftest import System
from tests.driver import Driver, read_all

KILLS = 10
LOOKS_AT_ONCE = 16
SECONDS_BETWEEN_KILLS = (0.1, 2.5)


@pytest.mark.chaos
@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("service", "seed"),
    [("gateway", 1), ("retrieval", 2), ("generation", 3), ("cache", 4), ("evaluation", 5)],
)
async def test_a_killed_service_loses_nothing_and_doubles_nothing(system: System, service: str, seed: int) -> None:
    load = Load(system.driver, Ledger(), seed, uuid.uuid4().hex[:6])
    running = asyncio.create_task(load.run())
    await kill_repeatedly(system, service, random.Random(seed))
    await served_from_memory(load.ledger)
    load.stopped.set()
    await running

    ledger = load.ledger
    assert ledger.stale == [], "stale cached answers served"
    assert await lost_documents(system.driver, ledger) == [], "accepted documents lost"
    assert await unevaluated_answers(system.driver, ledger) == set(), "answers without evaluation"
    assert doubled_evaluations(system, ledger) == {}, "evaluations doubled"
    assert ledger.recorded, "no answer was promised its evaluation: nothing was tested"


async def kill_repeatedly(system: System, service: str, choose: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(choose.uniform(*SECONDS_BETWEEN_KILLS))  # the random moment is what is tested
        system.supervisor.kill(service, signal.SIGKILL)
        await system.supervisor.wait_healthy(service)


async def served_from_memory(ledger: Ledger) -> None:
    """Go on until something came from the cache: while answers are not evaluated, or not kept, nothing does."""
    await eventually(lambda: ledger.hits, seconds=60)


async def lost_documents(driver: Driver, ledger: Ledger) -> list[str]:
    places = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def lost(document_id: str, version: int, price: int) -> str | None:
        async with places:
            return await loss(driver, document_id, version, price)

    looks = [lost(document_id, version, price) for document_id, (version, price) in ledger.accepted.items()]
    return [each for each in await asyncio.gather(*looks) if each]


async def loss(driver: Driver, document_id: str, version: int, price: int) -> str | None:
    """What is wrong with a document that was accepted as *version*."""
    status = await eventually(partial(reached, driver, document_id, version), seconds=60)
    found = await driver.retrieval.SearchPassages(
        retrieval_pb.SearchPassagesRequest(query=f"How much does the {document_id} lamp cost?"), timeout=10
    )
    texts = [passage.text for passage in found.passages if passage.ref.document_id == document_id]
    if status.version >= version and texts == [f"The {document_id} lamp costs {price} euros."]:
        return None
    return f"{document_id}: {price} accepted as {version}, index has {status.version}: {texts}"


async def reached(driver: Driver, document_id: str, version: int) -> retrieval_pb.DocumentStatus | None:
    """The status once *version* is indexed; None while retrieval is still coming back."""
    try:
        return await driver.wait(document_id, version)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return None
        raise


async def unevaluated_answers(driver: Driver, ledger: Ledger) -> set[str]:
    missing = set(ledger.recorded)

    async def look(places: asyncio.Semaphore, answer_id: str) -> None:
        async with places:
            if await driver.evaluation_of(answer_id):
                missing.discard(answer_id)

    async def all_evaluated() -> bool:
        places = asyncio.Semaphore(LOOKS_AT_ONCE)
        await asyncio.gather(*(look(places, answer_id) for answer_id in list(missing)))
        return not missing

    try:
        await eventually(all_evaluated, seconds=90)
    except AssertionError:
        return missing
    return missing


def doubled_evaluations(system: System, ledger: Ledger) -> dict[str, int]:
    events = Counter(key for key, _ in read_all(system.layout.address("kafka"), EVALUATION_COMPLETED.name))
    assert ledger.recorded <= events.keys(), "evaluations that were stored and not announced"
    return {answer_id: events[answer_id] for answer_id in ledger.recorded if events[answer_id] > 1}
