"""Nobody gets at what another is answered with; the whole of it is `make eval-leaks`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.common.v1.answer_pb2 import Answer
from tests.bench.leaks import TENANTS, Attempt, Circle, Range, Seen, drop_as_others, opened, probe

ASKED = 2_000


@pytest.fixture(scope="module")
async def target(encoder_dir: Path) -> AsyncIterator[Range]:
    async with opened(encoder_dir) as target:
        yield target


async def test_no_caller_of_a_hundred_tenants_sees_a_canary_of_another(target: Range) -> None:
    seen = await probe(target, ASKED)
    assert seen.leaks == []
    assert seen.attempts["LookupAnswer"] == ASKED
    assert min(seen.attempts[method] for method in ("ListTopEntries", "GetStats", "ExplainLookup")) > 30
    assert seen.own_served == seen.own_asked > 10


async def test_nobody_drops_an_entry_of_another(target: Range) -> None:
    assert not +(await drop_as_others(target))


def test_a_canary_that_is_not_the_callers_is_a_leak() -> None:
    mine, theirs = (Circle(tenant, (), "default", "r1") for tenant in TENANTS[:2])
    attempt = Attempt("LookupAnswer", mine, pb.LookupAnswerRequest(), frozenset([mine.canary]), own=True)
    seen = Seen()
    for canary in (mine.canary, theirs.canary):
        hit = pb.CacheHit(answer=Answer(text=f"It is {canary}."))
        seen.note(attempt, pb.LookupAnswerResponse(hit=hit))
    assert (seen.leaks, seen.own_served) == ([attempt], 2)
