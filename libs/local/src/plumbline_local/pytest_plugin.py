"""Fixtures with the real engines: one broker, one PostgreSQL, one encoder for a test run, each made at first use."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plumbline_local.encoder import ensure_encoder
from plumbline_local.layout import Layout
from plumbline_local.postgres import create_databases, drop_database
from plumbline_local.supervisor import Supervisor


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The run's temporary platform: folders, ports, DSNs."""
    return Layout.temporary(tmp_path_factory.mktemp("platform"))


@pytest.fixture(scope="session")
async def supervisor(layout: Layout) -> AsyncIterator[Supervisor]:
    """What starts the run's parts, and stops them when the run ends."""
    async with Supervisor(layout) as running:
        yield running


@pytest.fixture(scope="session")
async def kafka(layout: Layout, supervisor: Supervisor) -> str:
    """Bootstrap servers of the run's broker. It has the topics of the table, which all tests share."""
    await supervisor.start({"kafka"})
    return layout.address("kafka")


@pytest.fixture(scope="session")
async def postgres(layout: Layout, supervisor: Supervisor) -> str:
    """DSN of the run's PostgreSQL, in its maintenance database."""
    await supervisor.start({"postgres"})
    return layout.postgres_dsn()


@pytest.fixture
async def database(layout: Layout, postgres: str) -> AsyncIterator[str]:
    """DSN of an empty database that only this test sees."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await create_databases(postgres, (name,))
    yield layout.postgres_dsn(name)
    await drop_database(postgres, name)


@pytest.fixture(scope="session")
def encoder_dir(layout: Layout) -> Path:
    """The folder of the text encoder's model, built at the first run on this machine."""
    return ensure_encoder(layout)
