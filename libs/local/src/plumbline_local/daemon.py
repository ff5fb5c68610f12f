"""The supervisor's own process: `python -m plumbline_local.daemon`, started by `up` and stopped by `down`."""

import argparse
import asyncio
import os
import signal
from collections.abc import Collection

import structlog

from plumbline_kit import logs
from plumbline_local.catalogue import PARTS
from plumbline_local.errors import LocalError
from plumbline_local.layout import Layout
from plumbline_local.processes import ProcessId
from plumbline_local.supervisor import Supervisor

log = structlog.get_logger()


async def supervise(layout: Layout, parts: Collection[str]) -> int:
    """Run *parts* until SIGTERM or SIGINT; the exit code says whether they came up."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Supervisor(layout, say=_log) as supervisor:
        supervisor.board.supervisor = ProcessId.of(os.getpid())
        starting = asyncio.create_task(supervisor.start(parts))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        error = _error(starting)
        if error:
            supervisor.board.error = error
            supervisor.board.write()
            log.error("start_failed", reason=error)
        else:
            await stopped
        starting.cancel()
        stopped.cancel()
    return 1 if error else 0


def _error(starting: asyncio.Task[None]) -> str:
    """Why *starting* failed, in a sentence for the user; empty while it did not."""
    error = starting.exception() if starting.done() else None
    if error is None or isinstance(error, LocalError):
        return str(error or "")
    raise error


def _log(part: str, doing: str) -> None:
    log.info("part_changed", part=part, doing=doing)


def main() -> int:
    """Read the arguments and supervise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layout", help="as Layout.dumps wrote it", type=Layout.loads)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    given = parser.parse_args()
    logs.configure("supervisor", "info")
    return asyncio.run(supervise(given.layout, given.parts))


if __name__ == "__main__":
    raise SystemExit(main())
