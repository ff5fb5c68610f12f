"""The whole platform, started once per run on the run's own Kafka and PostgreSQL, with a fake model."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest

from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline_kit.testing import eventually
from plumbline_kit.testing.llm import FakeLLM
from plumbline_local.issuer import mint_token
from plumbline_local.layout import Layout
from plumbline_local.supervisor import Supervisor
from tests.driver import Driver

SERVICES = ("traces", "retrieval", "generation", "cache", "evaluation", "gateway")


@dataclass(frozen=True)
class System:
    """A running platform, the model it asks, and callers of two tenants."""

    layout: Layout
    supervisor: Supervisor
    model: FakeLLM
    driver: Driver
    other_tenant: Driver

    def caller(self, **claims: object) -> Driver:
        """A caller whose token holds *claims*."""
        return Driver(self.layout.address, mint_token(self.layout, **claims))

    async def start_services(self) -> None:
        """Start every service that does not run, and return once each is found by those that call it.

        A service that listens again is found half a second later, when its callers try once more.
        """
        await self.supervisor.start(SERVICES, env={"generation": {"LLM_BASE_URL": self.model.base_url}})
        await eventually(self._answers, seconds=60)

    async def _answers(self) -> bool:
        lamp = f"Lodestar{uuid.uuid4().hex[:8]}"
        try:
            await self.driver.submit_and_wait(lamp, lamp, f"The {lamp} lamp costs 7 euros.")
            answer = await self.driver.ask(f"How much does the {lamp} lamp cost?")
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return answer.origin == gateway_pb.ANSWER_ORIGIN_GENERATED

    @property
    def traces_dsn(self) -> str:
        """Where the trace store keeps its spans."""
        return self.layout.postgres_dsn("traces")


@pytest.fixture(scope="session")
async def system(layout: Layout, supervisor: Supervisor, kafka: str, postgres: str) -> AsyncIterator[System]:
    async with FakeLLM() as model:
        driver, other = (Driver(layout.address, mint_token(layout, tenant=tenant)) for tenant in ("acme", "globex"))
        running = System(layout, supervisor, model, driver, other)
        await running.start_services()
        yield running
