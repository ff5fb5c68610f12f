"""What evaluation's tests start from: the local release, spans, a database with its tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plumbline_evaluation.adapters.postgres import Pool, create_schema, open_pool
from plumbline_evaluation.domain.measures import Minimums
from plumbline_evaluation.wiring import minimums_of
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import load_release


@pytest.fixture(scope="session")
def minimums() -> Minimums:
    return minimums_of(load_release(Path(__file__).resolve().parents[3] / "deploy" / "local" / "release.toml"))


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database) as opened:
        await create_schema(opened, SystemClock())
        yield opened
