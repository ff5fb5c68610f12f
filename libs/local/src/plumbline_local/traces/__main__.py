"""Runs the trace store until SIGTERM or SIGINT."""

import asyncio
import signal

from plumbline_kit import logs
from plumbline_local.traces.receiver import TraceServer
from plumbline_local.traces.settings import TracesSettings


async def serve() -> None:
    """Serve until told to stop."""
    server = TraceServer(TracesSettings.from_env())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    logs.configure("traces", "info")
    asyncio.run(serve())
