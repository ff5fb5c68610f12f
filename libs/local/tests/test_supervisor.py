import socket
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from plumbline_kit.testing import eventually
from plumbline_local.errors import PartFailed, PortTaken
from plumbline_local.layout import Layout
from plumbline_local.parts import Part
from plumbline_local.processes import Board, ProcessId
from plumbline_local.supervisor import Supervisor

Listener = Callable[..., Part]


async def test_a_killed_part_is_restarted_and_its_restarts_are_counted(own_layout: Layout, listener: Listener) -> None:
    async with Supervisor(own_layout) as supervisor:
        await supervisor.run([listener()])
        first = supervisor.pid("dummy")

        supervisor.kill("dummy")
        await supervisor.wait_healthy("dummy")

        assert supervisor.pid("dummy") != first
        assert supervisor.restarts("dummy") == 1


async def test_after_stop_nothing_runs_and_the_file_says_so(own_layout: Layout, listener: Listener) -> None:
    async with Supervisor(own_layout) as supervisor:
        await supervisor.run([listener("one"), listener("two", needs=("one",))])
        processes = [ProcessId.of(supervisor.pid(name)) for name in ("one", "two")]

    assert [process.alive for process in processes if process] == [False, False]
    assert {record.state for record in Board.read(own_layout.processes).parts.values()} == {"stopped"}


async def test_a_part_starts_after_what_it_needs_and_stops_before_it(own_layout: Layout, listener: Listener) -> None:
    said: list[tuple[str, str]] = []
    async with Supervisor(own_layout, say=lambda part, doing: said.append((part, doing))) as supervisor:
        services = [listener(name, needs=("engine",)) for name in ("one", "two")]
        await supervisor.run([*services, listener("engine")])

    for service in ("one", "two"):
        assert said.index(("engine", "healthy")) < said.index((service, "starting"))
        assert said.index((service, "stopped")) < said.index(("engine", "stopped"))


async def test_a_part_that_cannot_start_is_reported_with_the_end_of_its_log(
    own_layout: Layout, listener: Listener
) -> None:
    async with Supervisor(own_layout) as supervisor:
        with pytest.raises(PartFailed, match=r"dummy stopped .*/dummy\.log ends with: no such luck"):
            await supervisor.run([listener(program="raise SystemExit('no such luck')")])


async def test_a_part_that_fails_later_is_tried_again_for_ever(own_layout: Layout, listener: Listener) -> None:
    allowed = own_layout.state / "allowed"
    allowed.parent.mkdir(exist_ok=True)
    allowed.touch()
    part = listener()
    guard = f"import pathlib; pathlib.Path({str(allowed)!r}).stat()\n"
    part = replace(part, argv=(sys.executable, "-c", guard + part.argv[2], part.argv[3]))
    async with Supervisor(own_layout) as supervisor:
        await supervisor.run([part])
        allowed.unlink()
        supervisor.kill("dummy")
        await eventually(lambda: supervisor.restarts("dummy") >= 5, seconds=30)

        allowed.touch()
        await supervisor.wait_healthy("dummy")

    assert Board.read(own_layout.processes).parts["dummy"].restarts >= 5


async def test_a_taken_port_is_named_with_who_holds_it(own_layout: Layout, listener: Listener) -> None:
    part = listener()
    async with Supervisor(own_layout) as supervisor:
        with (
            socket.create_server(("127.0.0.1", part.port)),
            pytest.raises(PortTaken, match=rf"port {part.port}, where dummy listens, is taken by process \d+ .*stop"),
        ):
            await supervisor.run([part])
