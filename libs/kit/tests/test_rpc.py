"""Server and channel together, over a real connection: four call shapes, errors, deadlines, callers, spans."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Exhausted, Invalid, NotFound, PlumblineError, Unavailable
from plumbline_kit.rpc import Server, current_call, open_channel, translate
from plumbline_kit.telemetry import names
from plumbline_kit.testing import eventually, make_verifier, test_settings, token

SHAPES = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Behaviour = Callable[[], Any]


class Desk:
    """A servicer of every shape: runs a behaviour, then echoes what came in."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _behave(self) -> None:
        self.started.set()
        try:
            result = self.behaviour()
            if result is not None:
                await result
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await self._behave()
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield request
        await self._behave()
        yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        received = [request async for request in requests]
        await self._behave()
        return b"".join(received)

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
        await self._behave()

    def handler(self) -> grpc.GenericRpcHandler:
        makers = {shape: getattr(grpc, f"{shape}_rpc_method_handler") for shape in SHAPES}
        return grpc.method_handlers_generic_handler("test.Desk", {s: makers[s](getattr(self, s)) for s in SHAPES})


@asynccontextmanager
async def serving(behaviour: Behaviour = lambda: None, **options: Any) -> AsyncIterator[tuple[Desk, Server]]:
    """A server whose handlers all do *behaviour*."""
    desk = Desk(behaviour)
    scopes = {f"/test.Desk/{shape}": "ask" for shape in SHAPES} | options.pop("scopes", {})
    server = Server(test_settings("desk", **options), make_verifier(), scopes=scopes, clock=SystemClock())
    server.grpc.add_generic_rpc_handlers([desk.handler()])
    await server.start()
    try:
        yield desk, server
    finally:
        await server.stop(0)


async def call(server: Server, shape: str, *, with_token: str | None = None, **options: Any) -> list[bytes]:
    """What a caller receives who sends b"a" (twice where the shape allows)."""
    options.setdefault("timeout", 5)
    async with open_channel(f"127.0.0.1:{server.port}", token=with_token or token()) as channel:
        running = getattr(channel, shape)(f"/test.Desk/{shape}")(request(shape), **options)
        if shape.endswith("stream"):
            return [reply async for reply in running]
        return [await running]


def request(shape: str) -> Any:
    return iter([b"a", b"a"]) if shape.startswith("stream") else b"a"


async def failure(server: Server, shape: str = "unary_unary", **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(server, shape, **options)
    return raised.value


def raising(error: Exception) -> Behaviour:
    def behave() -> None:
        raise error

    return behave


def hang() -> Any:
    return asyncio.sleep(30)


@pytest.mark.parametrize(
    ("shape", "replies"),
    [
        ("unary_unary", [b"a"]),
        ("unary_stream", [b"a", b"a"]),
        ("stream_unary", [b"aa"]),
        ("stream_stream", [b"a", b"a"]),
    ],
)
async def test_every_call_shape_works(shape: str, replies: list[bytes]) -> None:
    async with serving() as (_, server):
        assert await call(server, shape) == replies


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("no"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFound("no"), grpc.StatusCode.NOT_FOUND),
        (Exhausted("no"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Unavailable("no"), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_a_promised_error_reaches_the_caller_as_its_code(
    shape: str, error: PlumblineError, code: grpc.StatusCode
) -> None:
    async with serving(raising(error)) as (_, server):
        seen = await failure(server, shape)
    assert (seen.code(), seen.details()) == (code, "no")


async def test_an_unknown_error_is_internal_and_keeps_its_text() -> None:
    async with serving(raising(KeyError("secret"))) as (_, server):
        seen = await failure(server)
    assert seen.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(seen.details())
    assert "request" in str(seen.details())


async def test_a_field_violation_survives_the_way_there_and_back() -> None:
    async with serving(raising(Invalid.field("question", "is empty"))) as (_, server):
        error = translate(await failure(server))
    assert isinstance(error, Invalid)
    assert [(v.field, v.description) for v in error.violations] == [("question", "is empty")]


async def test_unavailable_carries_a_hint_when_to_come_back() -> None:
    async with serving(raising(Unavailable("no", retry_after=2.5))) as (_, server):
        seen = await failure(server)
    status = Status.FromString(dict(seen.trailing_metadata())["grpc-status-details-bin"])
    hint = RetryInfo()
    assert status.details[0].Unpack(hint)
    assert hint.retry_delay.ToTimedelta().total_seconds() == 2.5
    assert translate(seen).retry_after == 2.5


async def test_a_call_without_a_deadline_is_refused() -> None:
    async with serving() as (_, server), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await bare.unary_unary("/test.Desk/unary_unary")(b"a", metadata=(("authorization", f"Bearer {token()}"),))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "deadline" in raised.value.details()


@pytest.mark.parametrize(
    ("bearer", "code"),
    [
        ("garbage", grpc.StatusCode.UNAUTHENTICATED),
        (token(seconds=-3600), grpc.StatusCode.UNAUTHENTICATED),
        (token(scopes="evaluate"), grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["garbled", "expired", "wrong scope"],
)
@pytest.mark.parametrize(
    "shape", ["unary_unary", "unary_stream"]
)  # grpc.aio hides why a stream it still sends on ended
async def test_a_caller_without_a_fitting_token_is_turned_away(shape: str, bearer: str, code: grpc.StatusCode) -> None:
    async with serving() as (desk, server):
        assert (await failure(server, shape, with_token=bearer)).code() == code
        assert not desk.started.is_set()


async def test_a_method_without_a_scope_is_closed() -> None:
    async with serving() as (desk, server):
        desk_handler = grpc.unary_unary_rpc_method_handler(desk.unary_unary)
        server.grpc.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("test.Back", {"door": desk_handler})]
        )
        async with open_channel(f"127.0.0.1:{server.port}", token=token()) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/test.Back/door")(b"a", timeout=5)
    assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_health_is_open_and_follows_the_server() -> None:
    async with serving() as (_, server), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare:
        health = HealthStub(bare)
        assert (await health.Check(HealthCheckRequest(service="test.Desk"))).status == HealthCheckResponse.SERVING
        await server.set_serving(False)
        assert (await health.Check(HealthCheckRequest(service="test.Desk"))).status == HealthCheckResponse.NOT_SERVING


async def test_a_call_inside_a_call_passes_on_caller_request_and_time() -> None:
    seen: dict[str, Any] = {}

    def remember() -> None:
        inner = current_call()
        seen.update(tenant=inner.identity.tenant, request=inner.request_id, left=inner.remaining())

    async with serving(remember) as (_, back):

        async def pass_on() -> None:
            async with open_channel(f"127.0.0.1:{back.port}") as channel:
                await channel.unary_unary("/test.Desk/unary_unary")(b"a")

        async with serving(pass_on) as (_, front):
            await call(
                front, "unary_unary", timeout=4, with_token=token(tenant="globex"), metadata=[("x-request-id", "r1")]
            )
    assert (seen["tenant"], seen["request"]) == ("globex", "r1")
    assert 3 < seen["left"] <= 4


async def test_an_idempotent_method_is_tried_again_and_another_is_not() -> None:
    tries: list[int] = []

    def fail_once() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("a moment")

    for idempotent, expected in ((["test.Desk/unary_unary"], 2), ([], 1)):
        tries.clear()
        async with (
            serving(fail_once) as (_, server),
            open_channel(f"127.0.0.1:{server.port}", token=token(), idempotent=idempotent) as channel,
        ):
            outcome = channel.unary_unary("/test.Desk/unary_unary")(b"a", timeout=5)
            assert (await outcome.code() == grpc.StatusCode.OK) is bool(idempotent)
        assert len(tries) == expected


async def test_a_stopping_server_finishes_what_it_has_begun() -> None:
    release = asyncio.Event()
    async with serving(lambda: release.wait()) as (desk, server):
        running = asyncio.create_task(call(server, "unary_unary"))
        await desk.started.wait()
        stopping = asyncio.create_task(server.stop(grace=5))
        release.set()
        assert await running == [b"a"]
        await stopping


async def test_a_taken_port_is_said_so() -> None:
    async with serving() as (_, server):
        with pytest.raises(OSError, match=str(server.port)):
            async with serving(port=server.port):
                pass


def spans_of(exporter: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind == kind]


async def one_span(exporter: InMemorySpanExporter, kind: SpanKind) -> ReadableSpan:
    [span] = await eventually(lambda: spans_of(exporter, kind))
    return span


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("behaviour", "code", "server_errs"),
    [
        (lambda: None, "OK", False),
        (raising(NotFound("no")), "NOT_FOUND", False),
        (raising(ValueError("no")), "INTERNAL", True),
        (hang, "DEADLINE_EXCEEDED", True),
    ],
    ids=["ok", "promised error", "crash", "deadline"],
)
async def test_both_spans_say_how_the_call_ended(
    spans: InMemorySpanExporter, shape: str, behaviour: Behaviour, code: str, server_errs: bool
) -> None:
    async with serving(behaviour) as (_, server):
        try:
            await call(server, shape, timeout=0.3)
        except grpc.aio.AioRpcError:
            assert code != "OK"
        theirs, ours = await one_span(spans, SpanKind.SERVER), await one_span(spans, SpanKind.CLIENT)
    assert (theirs.attributes[names.RPC_STATUS], ours.attributes[names.RPC_STATUS]) == (code, code)
    assert theirs.attributes[names.RPC_METHOD] == f"test.Desk/{shape}"
    assert theirs.parent.span_id == ours.context.span_id
    assert (theirs.status.status_code == StatusCode.ERROR) is server_errs
    assert (ours.status.status_code == StatusCode.ERROR) is (code != "OK")


@pytest.mark.parametrize("shape", ["unary_unary", "unary_stream"])
async def test_a_cancelled_call_is_cancelled_on_both_sides(spans: InMemorySpanExporter, shape: str) -> None:
    async with serving(hang) as (desk, server):
        running = asyncio.create_task(call(server, shape))
        await desk.started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(desk.cancelled.wait(), 5)
        theirs, ours = await one_span(spans, SpanKind.SERVER), await one_span(spans, SpanKind.CLIENT)
    assert (theirs.attributes[names.RPC_STATUS], ours.attributes[names.RPC_STATUS]) == ("CANCELLED", "CANCELLED")


async def test_durations_of_both_sides_are_measured(durations: Callable[[], dict[str, list[Any]]]) -> None:
    async with serving() as (_, server):
        await call(server, "unary_unary")
        await eventually(lambda: names.RPC_SERVER_DURATION in durations())
    measured = durations()
    for name in (names.RPC_SERVER_DURATION, names.RPC_CLIENT_DURATION):
        assert any(point.attributes[names.RPC_STATUS] == "OK" and point.sum > 0 for point in measured[name])


async def test_log_lines_of_a_call_name_its_request_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    from plumbline_kit import logs

    logs.configure("desk", "info")
    async with serving(lambda: structlog.get_logger().info("working")) as (_, server):
        await call(server, "unary_unary", metadata=[("x-request-id", "r7")])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "working" in line]
    assert [(line["request_id"], line["tenant_id"], len(line["trace_id"])) for line in lines] == [("r7", "acme", 32)]
    structlog.reset_defaults()
