"""A gRPC channel that passes on who asks, until when and in which trace, and retries what may be retried."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any, Final, Self

import grpc

from plumbline_kit.rpc.call import calling
from plumbline_kit.rpc.server import AUTHORIZATION, MAX_MESSAGE_BYTES, REQUEST_ID
from plumbline_kit.telemetry.grpc import ClientCall, peer_attributes

DEFAULT_SECONDS: Final = 10.0
"""The deadline of a call outside of any other that names none."""

Token = str | Callable[[], str]


def open_channel(address: str, *, idempotent: Collection[str] = (), token: Token | None = None) -> grpc.aio.Channel:
    """A channel to *address*, which may resolve to many servers.

    Each call carries the trace, and within another call also its request id, its token and its deadline: no timeout
    goes beyond that. *token* is for callers that serve no call themselves. Methods named in *idempotent*
    ("package.Service/Method") are retried while the server is UNAVAILABLE, three times at most within about a second,
    and not when most calls fail anyway. A stream that its reader leaves before the end is cancelled.
    """
    return _Channel(grpc.aio.insecure_channel(address, options=_options(idempotent)), address, token)


def _options(idempotent: Collection[str]) -> list[tuple[str, Any]]:
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if idempotent:
        retry = {
            "maxAttempts": 4,
            "initialBackoff": "0.1s",
            "maxBackoff": "0.5s",
            "backoffMultiplier": 3,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [dict(zip(("service", "method"), name.split("/"), strict=True)) for name in idempotent]
        config["methodConfig"] = [{"name": names, "retryPolicy": retry}]
        config["retryThrottling"] = {"maxTokens": 10, "tokenRatio": 0.1}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),  # in spite of its name how long connecting may take
        ("grpc.max_reconnect_backoff_ms", 500),  # a restarted server is found before the retries are used up
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ]


class _Channel(grpc.aio.Channel):
    """Wraps a channel rather than intercepting it: aio interceptors run every call in a task of its own."""

    def __init__(self, inner: grpc.aio.Channel, address: str, token: Token | None) -> None:
        self._inner = inner
        self._address = address
        self._token = token

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See `grpc.aio.Channel`."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.channel_ready()

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See `grpc.aio.Channel`."""
        return self._wrap(method, self._inner.unary_unary(method, *arguments, **options))

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See `grpc.aio.Channel`."""
        return _left_is_cancelled(self._wrap(method, self._inner.unary_stream(method, *arguments, **options)))

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See `grpc.aio.Channel`."""
        return self._wrap(method, self._inner.stream_unary(method, *arguments, **options))

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See `grpc.aio.Channel`."""
        return _left_is_cancelled(self._wrap(method, self._inner.stream_stream(method, *arguments, **options)))

    def _wrap(self, method: str, start: Callable[..., Any]) -> Callable[..., Any]:
        name = method.lstrip("/")
        peer = peer_attributes(self._address)

        def call(request: Any = None, *, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
            given = tuple(metadata or ())
            own = self._accompany({key for key, _ in given})
            span = ClientCall(name, peer, own)
            running = start(request, timeout=_timeout(timeout), metadata=given + tuple(own.items()), **options)
            running.add_done_callback(lambda done: span.finish(_result(done.code())))
            return running

        return call

    def _accompany(self, given: Collection[str]) -> dict[str, str]:
        """What the callee has to know and the caller has not *given*."""
        own: dict[str, str] = {}
        outer = calling()
        if outer is not None and REQUEST_ID not in given:
            own[REQUEST_ID] = outer.request_id
        token = self._token if outer is None else outer.token
        if token is not None and AUTHORIZATION not in given:
            own[AUTHORIZATION] = f"Bearer {token if isinstance(token, str) else token()}"
        return own


class _Stream:
    """A call that streams back and is cancelled when its reader leaves it before the end, as by `break`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._call:
                yield message
        finally:
            self._call.cancel()


def _left_is_cancelled(start: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments, **options: _Stream(start(*arguments, **options))


def _timeout(given: float | None) -> float:
    """Seconds until the call is over: never more than are left of the call being served."""
    outer = calling()
    if outer is None:
        return DEFAULT_SECONDS if given is None else given
    left = max(outer.remaining(), 0.0)
    return left if given is None else min(given, left)


def _result(coroutine: Coroutine[Any, Any, grpc.StatusCode]) -> grpc.StatusCode:
    """The status of a call that is done, whose coroutine therefore never waits."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]  # StopIteration.value is Any
    coroutine.close()
    return grpc.StatusCode.UNKNOWN
