"""A gRPC server that takes anything and keeps nothing: where spans go while something else is measured."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from plumbline_kit.addresses import HOST


class _Anything(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")  # an empty message of any kind


def serve(port: int) -> None:
    """Serve until the process ends."""
    server = grpc.server(ThreadPoolExecutor(1), handlers=[_Anything()])
    server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(**vars(parser.parse_args()))
