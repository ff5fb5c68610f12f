"""gRPC in and out: servers, channels, and the call being served."""

from plumbline_kit.rpc.call import Call, current_call, outlive
from plumbline_kit.rpc.client import open_channel
from plumbline_kit.rpc.server import Server
from plumbline_kit.rpc.status import translate

__all__ = ["Call", "Server", "current_call", "open_channel", "outlive", "translate"]
