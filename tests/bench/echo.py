"""A bare grpc.aio echo, alone or in front of another: what two hops cost before anybody does any work."""

import argparse
import asyncio

import grpc

from plumbline_kit.addresses import HOST

METHOD = "/bench.Echo/Echo"


async def serve(port: int, upstream: str | None) -> None:
    """Answer with the request, or with what *upstream* answers to it, until the process ends."""
    forward = grpc.aio.insecure_channel(upstream).unary_unary(METHOD) if upstream else None

    async def echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return await forward(request, timeout=10) if forward else request

    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Echo", handlers)])
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", help="address to pass the request on to")
    asyncio.run(serve(**vars(parser.parse_args())))
