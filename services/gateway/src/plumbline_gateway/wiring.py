"""The one place where parts meet. Read this file to see the service whole."""

import uuid
from collections.abc import Awaitable, Callable

from plumbline.gateway.v1.gateway_service_pb2_grpc import add_GatewayServiceServicer_to_server
from plumbline_gateway.adapters.cache import GrpcAnswerCache
from plumbline_gateway.adapters.generation import GrpcAnswerGenerator, GrpcQuestionCondenser
from plumbline_gateway.adapters.retrieval import IDEMPOTENT, GrpcPassageSearch
from plumbline_gateway.api import SCOPES, GatewayService
from plumbline_gateway.events import BackgroundAnnouncer
from plumbline_gateway.handlers import AskQuestion, Slots
from plumbline_gateway.settings import Settings
from plumbline_guards.stored import remembering
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.clock import SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import load_release
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.telemetry import Telemetry, meter


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet."""
    clock, common = SystemClock(), settings.service
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="gateway", clock=clock)
    cache = open_channel(settings.cache_address)
    retrieval = open_channel(settings.retrieval_address, idempotent=IDEMPOTENT)
    generation = open_channel(settings.generation_address)
    lost = meter().create_counter(
        "plumbline.gateway.answers_unannounced", description="served answers whose fact did not reach the log"
    )
    announcer = BackgroundAnnouncer(
        publisher,
        clock,
        limit=settings.unannounced_answers,
        lost=lost,
        findings_in=remembering() if settings.redacts_stored else None,
    )
    ask = AskQuestion(
        GrpcAnswerCache(cache, limit_seconds=settings.cache_seconds),
        GrpcPassageSearch(retrieval),
        GrpcQuestionCondenser(generation),
        GrpcAnswerGenerator(generation, reserve_seconds=settings.reserve_seconds),
        announcer,
        release=load_release(common.release_file),
        slots=Slots(settings.concurrent_asks),
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
    )
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_GatewayServiceServicer_to_server(GatewayService(ask), server.grpc)
    closing: list[Callable[[], Awaitable[None]]] = [channel.close for channel in (cache, retrieval, generation)]
    return Service(common, server, background=[announcer], publisher=publisher, closing=closing, telemetry=telemetry)
