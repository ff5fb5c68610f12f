"""A gRPC server that knows its callers, keeps deadlines, maps errors and leaves a trace."""

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from plumbline_kit.auth import TokenVerifier, require_scope
from plumbline_kit.errors import DeadlineExceeded, Invalid, PermissionDenied, Unauthenticated, Unavailable
from plumbline_kit.rpc.call import Call, enter
from plumbline_kit.rpc.status import DETAILS_KEY, code_of, details_of, is_promised, text_of
from plumbline_kit.settings import ServiceSettings
from plumbline_kit.telemetry import annotate, names
from plumbline_kit.telemetry.grpc import Outcome, server_call

log = structlog.get_logger()

Handler = Any  # grpc's stubs know only the behaviour of its synchronous server
Context = grpc.aio.ServicerContext[Any, Any]
Around = Callable[[Context], AbstractAsyncContextManager[None]]

REQUEST_ID: Final = "x-request-id"
AUTHORIZATION: Final = "authorization"
MAX_MESSAGE_BYTES: Final = 8_000_000
OPEN_SERVICES: Final = ("/grpc.health.v1.Health/", "/grpc.reflection.")
LONGEST_REQUEST_ID: Final = 128
DEADLINE_SLACK: Final = 0.01
DEADLINE_SLACK_SECONDS: Final = 0.02
"""A caller's timer rings before ours: its timeout is rounded up on the wire by up to 1 %, and takes time to arrive."""
LONGEST_SECONDS: Final = 86_400.0
"""gRPC reports a call without a deadline as one that ends in centuries."""


class Server:
    """One gRPC server with health per service. Add servicers to `grpc`, then `start`."""

    def __init__(self, settings: ServiceSettings, verifier: TokenVerifier, *, scopes: Mapping[str, str]) -> None:
        """*scopes* names the scope of every full method ("a|b" means either); a method that it lacks is refused."""
        self._settings = settings
        self._health = HealthServicer()
        self._services = sorted({method.split("/")[1] for method in scopes})
        self.grpc = grpc.aio.server(interceptors=[_Doorman(verifier, scopes)], options=_options(settings))
        self.port = settings.port

    async def start(self) -> None:
        """Listen and become SERVING. Raises `OSError` when the port is taken."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)  # type: ignore[no-untyped-call]  # generated
        if self._settings.reflection:
            served = [*self._services, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(served, self.grpc)  # type: ignore[no-untyped-call]  # ships no types
        try:
            self.port = self.grpc.add_insecure_port(f"{self._settings.host}:{self._settings.port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._settings.host}:{self._settings.port}; is it taken?") from error
        await self.grpc.start()
        await self.set_serving(True)
        log.info("server_started", port=self.port)

    async def set_serving(self, serving: bool) -> None:
        """Say in health whether new calls are welcome."""
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for service in ("", *self._services):
            await self._health.set(service, status)

    async def stop(self, grace: float) -> None:
        """Become NOT_SERVING, let running calls go on for at most *grace* seconds, then end them."""
        await self._health.enter_graceful_shutdown()
        await self.grpc.stop(grace)


class _Doorman(grpc.aio.ServerInterceptor):
    """Everything around a handler, in one place: span, errors, caller, deadline, from the outside in."""

    def __init__(self, verifier: TokenVerifier, scopes: Mapping[str, str]) -> None:
        self._verifier = verifier
        self._scopes = scopes
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap each method once."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None or method.startswith(OPEN_SERVICES):
                return handler
            self._wrapped[method] = _wrap(handler, partial(self._around, method))
        return self._wrapped[method]

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[None]:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        request_id = _request_id(metadata)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, method=method)
        with server_call(method.lstrip("/"), metadata) as outcome:
            async with _errors(context, outcome, request_id):
                await self._admit(method, context, metadata, request_id)
                yield

    async def _admit(self, method: str, context: Context, metadata: Mapping[str, str], request_id: str) -> None:
        annotate({names.REQUEST_ID: request_id})
        token = _token(metadata)
        identity = await self._verifier.verify(token)
        structlog.contextvars.bind_contextvars(tenant_id=identity.tenant)
        annotate({names.TENANT_ID: identity.tenant})
        if method not in self._scopes:
            raise PermissionDenied(f"{method} is not open to any caller")
        require_scope(identity, self._scopes[method])
        enter(Call(identity, request_id, time.monotonic() + _remaining(context), token))


def _wrap(handler: Handler, around: Around) -> Handler:
    """*handler* of any of the four call shapes inside *around*."""
    behaviour = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream

    async def answer_once(request: Any, context: Context) -> Any:
        async with around(context):
            return await behaviour(request, context)

    async def answer_many(request: Any, context: Context) -> None:
        # Written, not yielded: a cancelled call then ends here, in its own task, and not when a generator is collected.
        async with around(context), aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    writes_itself = inspect.iscoroutinefunction(behaviour)  # a coroutine that streams, through the context
    answer = answer_many if handler.response_streaming and not writes_itself else answer_once
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(handler.request_streaming, handler.response_streaming)]
    return make(answer, handler.request_deserializer, handler.response_serializer)


@asynccontextmanager
async def _errors(context: Context, outcome: Outcome, request_id: str) -> AsyncIterator[None]:
    """End a call that raises with the status of what it raised, and tell *outcome* how the call ended."""
    given_seconds = context.time_remaining()
    try:
        yield
        outcome.code = context.code() or grpc.StatusCode.OK
    except grpc.aio.AbortError:
        outcome.code = context.code()
        raise
    except asyncio.CancelledError:
        if not _is_cancelled():  # raised by something that the handler waited for; gRPC would send no status at all
            await _abort(context, outcome, Unavailable("something this call waited for was cancelled"), request_id)
        outcome.code = _why_cancelled(context, given_seconds)
        raise
    except Exception as error:
        await _abort(context, outcome, error, request_id)


async def _abort(context: Context, outcome: Outcome, error: Exception, request_id: str) -> None:
    """End the call with the status of *error*. An error nobody promised keeps its text to our own log."""
    outcome.code = code_of(error)
    if is_promised(error):
        log.info("rpc_refused", code=outcome.code.name, reason=str(error))
        details = ((DETAILS_KEY, details_of(error)), (REQUEST_ID, request_id))
        await context.abort(outcome.code, text_of(error), trailing_metadata=details)
    log.error("rpc_crashed", exc_info=error)
    await context.abort(outcome.code, f"internal error, request {request_id}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _why_cancelled(context: Context, given_seconds: float | None) -> grpc.StatusCode:
    remaining = context.time_remaining()
    if given_seconds is None or remaining is None:
        return grpc.StatusCode.CANCELLED
    is_over = remaining <= DEADLINE_SLACK_SECONDS + DEADLINE_SLACK * given_seconds
    return grpc.StatusCode.DEADLINE_EXCEEDED if is_over else grpc.StatusCode.CANCELLED


def _request_id(metadata: Mapping[str, str]) -> str:
    given = metadata.get(REQUEST_ID, "")
    return given if 0 < len(given) <= LONGEST_REQUEST_ID else str(uuid.uuid4())


def _remaining(context: Context) -> float:
    remaining = context.time_remaining()
    if remaining is None or remaining > LONGEST_SECONDS:
        raise Invalid("a deadline is required: set a timeout on the call")
    if remaining <= 0:
        raise DeadlineExceeded("the deadline had passed before the work began")
    return float(remaining)


def _token(metadata: Mapping[str, str]) -> str:
    kind, _, token = metadata.get(AUTHORIZATION, "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthenticated("a token is required: send metadata authorization: Bearer <token>")
    return token


def _options(settings: ServiceSettings) -> Sequence[tuple[str, int]]:
    age = round(settings.max_connection_age_seconds * 1000)
    return (
        ("grpc.so_reuseport", 0),  # a second process on the port must fail, not share it
        ("grpc.max_connection_age_ms", age),  # no grace: running calls stay on it, and each has a deadline
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    )
