"""A service whose one rpc ends a while after the service was told to stop; run by the lifecycle test."""

import asyncio
import sys
from typing import Any

import grpc
import structlog

from plumbline_kit import logs, telemetry
from plumbline_kit.lifecycle import Service
from plumbline_kit.rpc import Server
from plumbline_kit.testing import make_verifier, test_settings, token

log = structlog.get_logger()


async def answer(request: bytes, context: Any) -> bytes:
    log.info("call_started")
    await asyncio.sleep(0.5)
    return request


async def main() -> int:
    settings = test_settings("desk")
    logs.configure("desk", "info")
    server = Server(settings, make_verifier(), scopes={"/test.Desk/Answer": "ask"})
    method = grpc.unary_unary_rpc_method_handler(answer)
    server.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Desk", {"Answer": method})])
    log.info("token_made", token=token())  # nobody else knows this process's issuer
    return await Service(settings, server, telemetry=telemetry.configure(settings)).run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
