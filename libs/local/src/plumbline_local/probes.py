"""How to ask whether a process is well; every probe answers within a few seconds and raises nothing."""

import asyncio
import contextlib

import grpc
import httpx
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from plumbline_kit.addresses import HOST


async def listening(port: int) -> bool:
    """Whether somebody accepts connections on *port*."""
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(HOST, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def answers_http(url: str) -> bool:
    """Whether GET *url* is answered with 200."""
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


async def serving(port: int) -> bool:
    """Whether the gRPC server on *port* says that it is SERVING."""
    if not await listening(port):
        return False
    async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
        try:
            stub = HealthStub(channel)  # type: ignore[no-untyped-call]  # generated without types
            answer = await stub.Check(HealthCheckRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)
