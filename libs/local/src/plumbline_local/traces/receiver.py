"""The OTLP side of the trace store: a gRPC server that answers an export once its spans are kept."""

import asyncio
import time
from typing import Any, Final

import grpc
import psycopg
import structlog
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from plumbline_local.traces.settings import TracesSettings
from plumbline_local.traces.spans import from_otlp
from plumbline_local.traces.store import SpanStore

MAX_EXPORT_BYTES: Final = 16 * 1024 * 1024

log = structlog.get_logger()


class TraceReceiver(TraceServiceServicer):
    """Keeps what it is sent. While the database is away exporters are told to come back."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    async def Export(  # noqa: N802  # the contract's name
        self, request: ExportTraceServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> ExportTraceServiceResponse:
        """Keep the spans of *request*; UNAVAILABLE if they could not be kept."""
        try:
            await self._store.add(list(from_otlp(request.resource_spans)))
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("spans_refused", reason=type(error).__name__)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the trace store's database is away")
        return ExportTraceServiceResponse()


class TraceServer:
    """The whole trace store: database pool, receiver, retention."""

    def __init__(self, settings: TracesSettings) -> None:
        self._settings = settings
        self._pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            settings.postgres_dsn,
            open=False,
            min_size=1,
            max_size=4,
            timeout=5,
            check=AsyncConnectionPool.check_connection,
        )
        self._store = SpanStore(self._pool)
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_EXPORT_BYTES)])
        self._pruning: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Start, and return the port. Raises `PoolTimeout` if the database cannot be reached."""
        await self._pool.open(wait=True, timeout=10)
        await self._store.prepare()
        add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]  # generated without types
            TraceReceiver(self._store), self._server
        )
        await _add_health(self._server)
        port = self._server.add_insecure_port(f"{self._settings.host}:{self._settings.port}")
        await self._server.start()
        self._pruning = asyncio.create_task(self._prune_for_ever())
        return port

    async def stop(self) -> None:
        """Finish the exports in hand and leave."""
        await self._server.stop(grace=5)
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.gather(self._pruning, return_exceptions=True)
        await self._pool.close()

    async def _prune_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.prune_seconds)
            oldest = time.time_ns() - int(self._settings.keep_seconds * 1e9)
            try:
                removed = await self._store.prune(oldest_ns=oldest, most=self._settings.keep_spans)
            except (psycopg.OperationalError, PoolTimeout) as error:
                log.warning("prune_put_off", reason=type(error).__name__)
            else:
                log.info("spans_pruned", removed=removed)


async def _add_health(server: grpc.aio.Server) -> None:
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # how the package documents it
    await servicer.set("", HealthCheckResponse.SERVING)
    add_HealthServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]  # generated without types
