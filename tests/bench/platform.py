"""A platform of its own for one benchmark, in a temporary folder, gone afterwards."""

import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plumbline_kit.addresses import HOST
from plumbline_local.issuer import mint_token
from plumbline_local.layout import Layout, free_ports
from plumbline_local.parts import Part
from plumbline_local.probes import listening
from plumbline_local.supervisor import Supervisor
from tests.driver import Driver


@dataclass(frozen=True)
class Bench:
    """A running platform and a caller of it."""

    layout: Layout
    supervisor: Supervisor
    driver: Driver
    echo_address: str
    """Where a bare echo listens that passes each call on to a second one: two hops and no work."""


@asynccontextmanager
async def running(parts: Collection[str], env: Mapping[str, Mapping[str, str]] | None = None) -> AsyncIterator[Bench]:
    """Start *parts*, a fake model that answers at once, and the bare echo; stop all of them at the end.

    *env* is added to the environments of the parts that it names.
    """
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as folder:
        layout = Layout.temporary(Path(folder))
        ports = free_ports("model", "echo", "second echo")
        async with Supervisor(layout) as supervisor:
            addresses = {name: f"{HOST}:{port}" for name, port in ports.items()}
            await supervisor.run(
                [
                    process("model", ports["model"], "plumbline_kit.testing.llm"),
                    process("second echo", ports["second echo"], "tests.bench.echo"),
                    process("echo", ports["echo"], "tests.bench.echo", "--upstream", addresses["second echo"]),
                ]
            )
            model = {"LLM_BASE_URL": f"http://{addresses['model']}/v1"}
            await supervisor.start(parts, env={**(env or {}), "generation": model})
            yield Bench(
                layout, supervisor, Driver(layout.address, mint_token(layout, tenant="bench")), addresses["echo"]
            )


def process(name: str, port: int, module: str, *arguments: str) -> Part:
    """A module of Python that listens on *port*."""
    command = (sys.executable, "-m", module, "--port", str(port), *arguments)
    return Part(name, command, port, healthy=partial(listening, port))
