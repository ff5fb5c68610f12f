"""`up`, `down` and `status` with a supervisor in a process of its own."""

import signal
import socket
from collections.abc import AsyncIterator

import pytest

from plumbline_kit.testing import eventually
from plumbline_local import control
from plumbline_local.errors import PortTaken
from plumbline_local.layout import Layout
from plumbline_local.processes import Board, ProcessId

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it outlives `up`

ENGINE = ("postgres",)


@pytest.fixture
async def stopped_after(own_layout: Layout) -> AsyncIterator[Layout]:
    yield own_layout
    await control.down(own_layout)


def line(layout: Layout, part: str) -> control.PartStatus:
    return next(each for each in control.status(layout) if each.name == part)


def supervisor(layout: Layout) -> ProcessId:
    process = Board.read(layout.processes).supervisor
    assert process is not None
    return process


async def kill_supervisor(layout: Layout) -> None:
    process = supervisor(layout)
    process.send(signal.SIGKILL)
    await eventually(lambda: not process.alive)


async def test_up_returns_with_healthy_parts_and_says_when_they_ran_already(stopped_after: Layout) -> None:
    assert await control.up(stopped_after, parts=ENGINE)

    status = line(stopped_after, "postgres")
    assert (status.state, status.port) == ("healthy", stopped_after.ports["postgres"])
    assert status.memory_bytes > 1_000_000
    assert status.log.is_file()
    assert not await control.up(stopped_after, parts=ENGINE)


async def test_down_leaves_nothing_running(stopped_after: Layout) -> None:
    await control.up(stopped_after, parts=ENGINE)
    left = [supervisor(stopped_after), ProcessId.of(line(stopped_after, "postgres").pid or 0)]

    assert await control.down(stopped_after)

    assert not any(process.alive for process in left if process)
    assert not await control.down(stopped_after)
    assert line(stopped_after, "postgres").state == "stopped"


async def test_down_ends_what_a_killed_supervisor_left_behind(stopped_after: Layout) -> None:
    await control.up(stopped_after, parts=ENGINE)
    await kill_supervisor(stopped_after)
    left = ProcessId.of(line(stopped_after, "postgres").pid or 0)
    assert line(stopped_after, "postgres").state == "unsupervised"

    assert await control.down(stopped_after)

    assert left is not None
    assert not left.alive


async def test_up_after_a_killed_supervisor_starts_afresh(stopped_after: Layout) -> None:
    await control.up(stopped_after, parts=ENGINE)
    await kill_supervisor(stopped_after)

    assert await control.up(stopped_after, parts=ENGINE)

    assert line(stopped_after, "postgres").state == "healthy"


async def test_up_with_a_taken_port_starts_nothing(own_layout: Layout) -> None:
    with (
        socket.create_server(("127.0.0.1", own_layout.ports["postgres"])),
        pytest.raises(PortTaken, match=r"where postgres listens, is taken by process"),
    ):
        await control.up(own_layout, parts=ENGINE)

    assert not control.is_up(own_layout)
