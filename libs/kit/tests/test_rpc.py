"""Server and channel together, over a real connection: four call shapes, errors, deadlines, callers, spans."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc._cython import cygrpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from plumbline_kit.errors import Exhausted, FieldViolation, Invalid, NotFound, PlumblineError, Unavailable, Unfulfilled
from plumbline_kit.rpc import Server, client, current_call, open_channel, server, translate
from plumbline_kit.settings import SettingsError
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
    server = Server(test_settings("desk", **options), make_verifier(), scopes=scopes)
    server.grpc.add_generic_rpc_handlers([desk.handler()])
    await server.start()
    try:
        yield desk, server
    finally:
        await server.stop(0)


@asynccontextmanager
async def serving_one(handler: Callable[..., Any], shape: str = "unary_unary", **options: Any) -> AsyncIterator[Server]:
    """A server with *handler* alone."""
    server = Server(test_settings("desk", **options), make_verifier(), scopes={f"/test.Desk/{shape}": "ask"})
    method = getattr(grpc, f"{shape}_rpc_method_handler")(handler)
    server.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Desk", {shape: method})])
    await server.start()
    try:
        yield server
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


@pytest.mark.parametrize(
    "error", [KeyError("secret"), SettingsError("PASSWORD is 'secret'")], ids=["foreign", "ours but not promised"]
)
async def test_an_unknown_error_is_internal_and_keeps_its_text(error: Exception) -> None:
    async with serving(raising(error)) as (_, server):
        seen = await failure(server, metadata=[("x-request-id", "r1")])
    assert (seen.code(), seen.details()) == (grpc.StatusCode.INTERNAL, "internal error, request r1")
    assert "secret" not in repr(seen)


@pytest.mark.parametrize("shape", SHAPES)
async def test_something_cancelled_below_a_call_ends_it_at_once(shape: str) -> None:
    async with serving(raising(asyncio.CancelledError())) as (_, server):
        assert (await failure(server, shape, timeout=60)).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_status_that_a_handler_sets_itself_is_on_its_span(spans: InMemorySpanExporter) -> None:
    async def aborting(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.ABORTED, "no")
        return request

    async def setting(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    for handler, code in ((aborting, "ABORTED"), (setting, "DATA_LOSS")):
        spans.clear()
        async with serving_one(handler) as server:
            assert (await failure(server)).code().name == code
            theirs = await one_span(spans, SpanKind.SERVER)
        assert theirs.attributes[names.RPC_STATUS] == code


async def test_a_stream_may_also_be_written_to_the_context() -> None:
    async def writing(request: bytes, context: Any) -> None:
        await context.write(request)
        await context.write(request)

    async with serving_one(writing, "unary_stream") as server:
        assert await call(server, "unary_stream") == [b"a", b"a"]


@pytest.mark.parametrize("given", ["r1", "", "x" * 129])
@pytest.mark.parametrize("behaviour", [lambda: None, raising(NotFound("no"))], ids=["ok", "error"])
async def test_a_request_has_an_id_that_comes_back(behaviour: Behaviour, given: str) -> None:
    async with serving(behaviour) as (_, server), open_channel(f"127.0.0.1:{server.port}", token=token()) as channel:
        running = channel.unary_unary("/test.Desk/unary_unary")(b"a", timeout=5, metadata=[("x-request-id", given)])
        came_back = (await running.trailing_metadata())["x-request-id"]
    assert came_back == given if given == "r1" else len(came_back) == 36


async def test_a_field_violation_survives_the_way_there_and_back() -> None:
    async with serving(raising(Invalid.field("question", "is empty"))) as (_, server):
        error = translate(await failure(server))
    assert isinstance(error, Invalid)
    assert [(v.field, v.description) for v in error.violations] == [("question", "is empty")]


@pytest.mark.parametrize("letter", ["x", "é", "語"])
async def test_an_error_of_any_length_reaches_the_caller(letter: str) -> None:
    violations = [FieldViolation(letter * 1000, letter * 1000) for _ in range(50)]
    async with serving(raising(Invalid(letter * 100_000, *violations))) as (_, server):
        seen = await failure(server)
    assert seen.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert seen.details() == letter * (800 // len(letter.encode())) + "…"
    error = translate(seen)
    assert isinstance(error, Invalid)
    assert error.violations


async def test_unavailable_carries_a_hint_when_to_come_back() -> None:
    async with serving(raising(Unavailable("no", retry_after=2.5))) as (_, server):
        seen = await failure(server)
    status = Status.FromString(dict(seen.trailing_metadata())["grpc-status-details-bin"])
    hint = RetryInfo()
    assert status.details[0].Unpack(hint)
    assert hint.retry_delay.ToTimedelta().total_seconds() == 2.5
    assert translate(seen).retry_after == 2.5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Exhausted("no", retry_after=60.0, reason="OVER_BUDGET"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Unavailable("no", reason="MODEL_FAILED"), grpc.StatusCode.UNAVAILABLE),
        (Unfulfilled("no", reason="INVALID_JSON"), grpc.StatusCode.FAILED_PRECONDITION),
    ],
    ids=lambda one: getattr(one, "reason", ""),
)
async def test_a_reason_for_programs_survives_the_way_there_and_back(
    error: PlumblineError, code: grpc.StatusCode
) -> None:
    async with serving(raising(error)) as (_, server):
        seen = await failure(server)
    told = translate(seen)
    assert seen.code() is code
    assert (type(told), told.reason) == (type(error), error.reason)
    assert getattr(told, "retry_after", None) == getattr(error, "retry_after", None)


async def test_a_call_without_a_deadline_is_refused() -> None:
    async with serving() as (_, server), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await bare.unary_unary("/test.Desk/unary_unary")(b"a", metadata=(("authorization", f"Bearer {token()}"),))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "deadline" in raised.value.details()


async def test_a_call_whose_deadline_has_passed_is_not_started() -> None:
    async with serving() as (desk, server):
        assert (await failure(server, timeout=-1)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not desk.started.is_set()


async def test_a_call_without_a_timeout_has_ten_seconds() -> None:
    left: list[float] = []
    async with serving(lambda: left.append(current_call().remaining())) as (_, server):
        await call(server, "unary_unary", timeout=None)
    assert 9 < left[0] <= 10.1


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


async def test_health_of_a_stopping_server_turns_before_its_calls_end() -> None:
    release = asyncio.Event()
    async with (
        serving(lambda: release.wait()) as (desk, server),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare,
    ):
        watching = aiter(HealthStub(bare).Watch(HealthCheckRequest(service="test.Desk")))
        assert (await anext(watching)).status == HealthCheckResponse.SERVING
        running = asyncio.create_task(call(server, "unary_unary"))
        await desk.started.wait()
        stopping = asyncio.create_task(server.stop(5))
        assert (await anext(watching)).status == HealthCheckResponse.NOT_SERVING
        assert not running.done()
        release.set()
        assert await running == [b"a"]
        await bare.close()
        await stopping


@pytest.mark.parametrize("reflected", [True, False])
async def test_reflection_is_there_by_setting(reflected: bool) -> None:
    async with (
        serving(reflection=reflected) as (_, server),
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare,
    ):
        asking = ServerReflectionStub(bare).ServerReflectionInfo(iter([ServerReflectionRequest(list_services="")]))
        if reflected:
            services = (await anext(aiter(asking))).list_services_response.service
            assert "test.Desk" in [service.name for service in services]
        else:
            assert await asking.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_of_four_megabytes_passes() -> None:
    message = b"x" * 4_200_000
    async with serving() as (_, server), open_channel(f"127.0.0.1:{server.port}", token=token()) as channel:
        assert await channel.unary_unary("/test.Desk/unary_unary")(message, timeout=10) == message


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
    assert 3 < seen["left"] <= 4.1  # gRPC rounds a timeout up


async def test_a_call_inside_a_call_cannot_outlast_it() -> None:
    left: list[float] = []
    async with (
        serving(lambda: left.append(current_call().remaining())) as (_, back),
        open_channel(f"127.0.0.1:{back.port}") as channel,
    ):

        async def pass_on() -> None:
            for timeout in (60, 1):
                await channel.unary_unary("/test.Desk/unary_unary")(b"a", timeout=timeout)

        async with serving(pass_on) as (_, front):
            await call(front, "unary_unary", timeout=4)
    assert 3 < left[0] <= 4.1
    assert left[1] <= 1.1


async def test_what_a_caller_sets_itself_is_left_alone() -> None:
    seen: list[Any] = []

    async def looking(request: bytes, context: Any) -> bytes:
        seen.extend((current_call().identity.tenant, dict(context.invocation_metadata())))
        return request

    async with serving_one(looking) as server:
        mine = [("authorization", f"Bearer {token(tenant='globex')}"), ("x-extra", "1")]
        await call(server, "unary_unary", metadata=grpc.aio.Metadata(*mine))
    assert (seen[0], seen[1]["x-extra"]) == ("globex", "1")


async def test_a_token_may_be_made_anew_for_each_call() -> None:
    tenants = iter(["acme", "globex"])
    seen: list[str] = []
    async with (
        serving(lambda: seen.append(current_call().identity.tenant)) as (_, server),
        open_channel(f"127.0.0.1:{server.port}", token=lambda: token(tenant=next(tenants))) as channel,
    ):
        for _ in range(2):
            await channel.unary_unary("/test.Desk/unary_unary")(b"a", timeout=5)
    assert seen == ["acme", "globex"]


def test_there_is_no_current_call_outside_of_one() -> None:
    with pytest.raises(LookupError):
        current_call()


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


async def test_a_call_outlives_the_connection_that_is_too_old_for_new_ones() -> None:
    may_end = asyncio.Event()
    peers: set[str] = set()

    async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
        peers.add(context.peer())
        yield request
        await (may_end.wait() if request == b"long" else asyncio.sleep(0))
        yield request

    async with (
        serving_one(answer, "unary_stream", max_connection_age_seconds=0.1, drain_seconds=0.05) as server,
        open_channel(f"127.0.0.1:{server.port}", token=token()) as channel,
    ):
        stream = channel.unary_stream("/test.Desk/unary_stream")
        long = aiter(stream(b"long", timeout=60))
        replies = [await anext(long)]

        async def has_connected_thrice() -> bool:
            return [reply async for reply in stream(b"short", timeout=60)] == [b"short"] * 2 and len(peers) > 2

        await eventually(has_connected_thrice)
        may_end.set()
        assert [*replies, *[reply async for reply in long]] == [b"long", b"long"]


async def test_a_server_that_is_slow_to_greet_is_waited_for() -> None:
    async with serving() as (_, server):

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(1)  # how slow it is: a busy machine, a handshake over a long way
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

        proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
        async with proxy:
            port = proxy.sockets[0].getsockname()[1]
            async with open_channel(f"127.0.0.1:{port}", token=token()) as channel:
                assert await channel.unary_unary("/test.Desk/unary_unary")(b"a", timeout=10) == b"a"


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from the one to the other."""
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


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


@pytest.mark.parametrize("shape", ["unary_stream", "stream_stream"])
async def test_a_stream_that_its_reader_leaves_is_cancelled_on_both_sides(
    spans: InMemorySpanExporter, shape: str
) -> None:
    async with serving(hang) as (desk, server), open_channel(f"127.0.0.1:{server.port}", token=token()) as channel:
        async for reply in getattr(channel, shape)(f"/test.Desk/{shape}")(request(shape), timeout=60):
            assert reply == b"a"
            await desk.started.wait()
            break
        await asyncio.wait_for(desk.cancelled.wait(), 5)
        theirs, ours = await one_span(spans, SpanKind.SERVER), await one_span(spans, SpanKind.CLIENT)
    assert (theirs.attributes[names.RPC_STATUS], ours.attributes[names.RPC_STATUS]) == ("CANCELLED", "CANCELLED")


async def test_a_stream_left_while_the_server_writes_ends_its_handler(spans: InMemorySpanExporter) -> None:
    ended = asyncio.Event()

    async def pouring(request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield request * 10_000
        finally:
            ended.set()

    async with (
        serving_one(pouring, "unary_stream") as server,
        open_channel(f"127.0.0.1:{server.port}", token=token()) as channel,
    ):
        async for _ in channel.unary_stream("/test.Desk/unary_stream")(b"a", timeout=60):
            break
        await asyncio.wait_for(ended.wait(), 5)
        theirs = await one_span(spans, SpanKind.SERVER)
    assert theirs.attributes[names.RPC_STATUS] == "CANCELLED"


async def test_a_call_continues_the_trace_of_a_foreign_caller(spans: InMemorySpanExporter) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving() as (_, server), grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as bare:
        metadata = (("authorization", f"Bearer {token()}"), ("traceparent", parent))
        await bare.unary_unary("/test.Desk/unary_unary")(b"a", timeout=5, metadata=metadata)
        theirs = await one_span(spans, SpanKind.SERVER)
    assert (f"{theirs.context.trace_id:032x}", f"{theirs.parent.span_id:016x}") == tuple(parent.split("-")[1:3])


async def test_spans_name_the_call_the_server_and_the_caller(spans: InMemorySpanExporter) -> None:
    async with serving() as (_, server):
        await call(server, "unary_unary", metadata=[("x-request-id", "r1")])
        theirs, ours = await one_span(spans, SpanKind.SERVER), await one_span(spans, SpanKind.CLIENT)
    about = {"rpc.system.name": "grpc", "rpc.method": "test.Desk/unary_unary", "rpc.response.status_code": "OK"}
    assert dict(ours.attributes) == about | {"server.address": "127.0.0.1", "server.port": server.port}
    assert dict(theirs.attributes) == about | {"plumbline.request.id": "r1", "plumbline.tenant.id": "acme"}


@pytest.mark.parametrize("shape", SHAPES)
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


async def test_log_lines_of_a_call_name_its_request_method_and_tenant() -> None:
    bound: dict[str, Any] = {}
    async with serving(lambda: bound.update(structlog.contextvars.get_contextvars())) as (_, server):
        await call(server, "unary_unary", metadata=[("x-request-id", "r7")])
    assert bound == {"request_id": "r7", "method": "/test.Desk/unary_unary", "tenant_id": "acme"}


@pytest.mark.parametrize(
    "options", [client._options([]), server._options(test_settings("options"))], ids=["client", "server"]
)
def test_every_channel_option_is_one_that_the_library_knows(options: list[tuple[str, Any]]) -> None:
    library = Path(cygrpc.__file__).read_bytes()  # it ignores others without a word
    assert [name for name, _ in options if name.encode() + b"\0" not in library] == []
