"""What an operator sees and does of a running cache, by the command line."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from typer.testing import CliRunner

from plumbline_cli.main import app
from plumbline_kit.testing import eventually
from plumbline_local.issuer import mint_token
from tests.conftest import System
from tests.driver import Driver

pytestmark = pytest.mark.system


async def cache(system: System, tenant: str, *arguments: str) -> dict[str, Any]:
    """What `plumbline cache` says to a caller of *tenant*, as JSON."""
    addresses = ("--cache", system.layout.address("cache"), "--token", mint_token(system.layout, tenant=tenant))
    result = await asyncio.to_thread(CliRunner().invoke, app, [*addresses, "cache", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


async def asked_twice(driver: Driver, name: str) -> str:
    """A question about a new lamp whose answer comes from the cache, saved and all."""
    await driver.submit_and_wait(name, name, f"The {name} lamp costs 41 euros.")
    question = f"How much does the {name} lamp cost?"

    async def saved() -> bool:
        answer = await driver.ask(question)
        return answer.saved.time.ToMicroseconds() > 0 and answer.saved.completion_tokens > 0

    await eventually(saved, seconds=20)
    return question


async def test_an_operator_sees_a_saving_explains_it_and_drops_it_for_good(system: System) -> None:
    tenant = f"tenant-{uuid.uuid4().hex[:8]}"
    question = await asked_twice(system.caller(tenant=tenant), f"Cirrus{uuid.uuid4().hex[:6]}")

    stats = await cache(system, tenant, "stats")
    assert (stats["entry_count"], int(stats["exact_hit_count"]) >= 1) == ("1", True)
    assert stats["saved"]["completion_tokens"] > 0
    [listed] = (await cache(system, tenant, "top"))["entries"]
    assert (listed["question"], int(listed["hit_count"]) >= 1) == (question, True)
    told = await cache(system, tenant, "explain", question.upper())
    assert told["tier"] == "CACHE_TIER_EXACT"
    assert all(check["passed"] for check in told["entries"][0]["checks"])

    assert (await cache(system, tenant, "warm"))["held_count"] == "1"
    assert (await cache(system, tenant, "invalidate", "--question", question, "--yes"))["invalidated_count"] == 1
    assert (await cache(system, tenant, "explain", question))["miss_reason"] == "MISS_REASON_NOT_FOUND"
    warmed = await cache(system, tenant, "warm")
    assert (warmed["admitted_count"], set(warmed["refused_counts"])) == ("0", {"withdrawn"})
