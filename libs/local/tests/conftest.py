"""A layout of its own for tests that start and stop things, and a dummy part that listens and nothing else."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from plumbline_local.layout import Layout, free_ports
from plumbline_local.parts import Part
from plumbline_local.probes import listening

LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def own_layout(tmp_path: Path) -> Layout:
    return Layout.temporary(tmp_path)


@pytest.fixture
def listener() -> Callable[..., Part]:
    """Makes a part that listens on a free port; *program* replaces what it runs."""

    def make(name: str = "dummy", program: str = LISTENER, needs: tuple[str, ...] = ()) -> Part:
        port = free_ports(name)[name]
        command = (sys.executable, "-c", program, str(port))
        return Part(name, command, port, healthy=partial(listening, port), needs=needs, stop_seconds=5)

    return make
